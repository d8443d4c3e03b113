package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// harden keeps keys and PANs in this process's memory out of files and out of
// other processes of the same user (P4): no core file, and no reading through
// ptrace or /proc/PID/mem (prctl(2), PR_SET_DUMPABLE).
func harden() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("switch core files off: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("make the process non-dumpable: %w", err)
	}
	return nil
}
