// Command cardvault is a card vault: the one program of a payment company that
// ever sees a card number. serve runs it in production, dev runs all of it on a
// laptop; the other commands are clients of its API.
//
// A PAN enters through standard input or a prompt and leaves through `detokenize
// --view full`. It is never taken from the command line, which every process of
// the machine can read.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/grpclog"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)

	os.Exit(int(run(ctx, os.Args[1:])))
}

// run is everything between the command line and the exit code.
func run(ctx context.Context, args []string) exitCode {
	// Environment variables can turn gRPC's own log up until it prints what calls carry.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	if err := errors.Join(harden(), refuseCardNumber(args)); err != nil {
		told := asExit(err)
		report(os.Stderr, told, false)
		return told.code
	}
	root := commandTree() //nolint:contextcheck // commands get the context when they run
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	told := *asExit(err)
	if told.code == exitUsage && told.next == "" {
		told.next = "see " + cmd.CommandPath() + " --help"
	}
	output := cmd.Flag("output")
	report(os.Stderr, &told, output != nil && output.Value.String() == outputJSON)
	return told.code
}

// commandTree is the whole command line.
func commandTree() *cobra.Command {
	root := &cobra.Command{
		Use:           "cardvault",
		Short:         "Issue, tokenize and detokenize cards; nothing else of a company sees a card number",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(
		devCommand(), serveCommand(), migrateCommand(),
		binCommand(), cardCommand(), tokenCommand(), detokenizeCommand(), keyCommand(), auditCommand(), policyCommand(),
		exitCodesTopic(),
	)
	for _, group := range root.Commands() {
		completeGroup(group)
	}
	markRan(root)
	return root
}

// completeGroup has a group of verbs refuse one that it does not have; cobra by
// itself would show its help and call that a success.
func completeGroup(group *cobra.Command) {
	if group.HasSubCommands() {
		group.Args = cobra.NoArgs
		group.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		group.DisableFlagsInUseLine = true
	}
}

// version is the module's version and the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && v == "(devel)" {
			v = s.Value
		}
	}
	return v
}
