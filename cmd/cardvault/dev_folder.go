package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cardvault/cardvault/crypto/devca"
	"github.com/cardvault/cardvault/vault/access"
)

// defaultDevDir is where `dev` keeps its state and where --as looks.
const defaultDevDir = "cardvault-dev"

const (
	demoTrustDomain = "dev.cardvault.example"
	demoTenant      = "demo"
	// demoStaff begins the names of those who are in no tenant.
	demoStaff = "staff-"
	// demoLifetime of certificates is long: a laptop's server may run for months.
	demoLifetime = 365 * 24 * time.Hour
)

// The files of a dev folder, beside the authority's and the certificates.
const (
	devLock    = "lock"
	devStore   = "cards.db"
	devKEK     = "kek"
	devSigner  = "audit.key"
	devPolicy  = "policy.cedar"
	devAddress = "address"
	devToken   = "token"         // of an issued card
	devForeign = "foreign-token" // of the tokenized one
	devLog     = "log.json"
	devServer  = "server"
	// devVerifier is the public key of the audit log, for whoever verifies it.
	devVerifier = "audit.vkey"
)

// demoNames are the demo principals.
func demoNames() []string {
	return []string{"issuer", "payments", "support", "security", "auditor", demoStaff + "auditor", demoStaff + "security"}
}

// devFolder is the state of a `cardvault dev`, held by this process alone.
type devFolder struct {
	dir  string
	lock *os.File
	// reopened: it was there before, with cards in it perhaps.
	reopened bool
}

// openDevFolder makes or reopens a folder, with fresh certificates.
func openDevFolder(dir string) (*devFolder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, failed("give another place with --dir", "dev folder: %w", err)
	}
	if err := checkOwnFolder(dir); err != nil {
		return nil, err
	}
	// A folder that was there before may be open to others.
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a folder needs its x
		return nil, failed("give another place with --dir", "dev folder: %w", err)
	}
	d := &devFolder{dir: dir}
	if err := d.take(); err != nil {
		return nil, err
	}
	if err := d.fill(); err != nil {
		return nil, errors.Join(failed("remove "+dir+" to begin anew: its cards are lost then", "dev folder: %w", err), d.Close())
	}
	return d, nil
}

// checkOwnFolder keeps keys from being strewn among files of another purpose.
func checkOwnFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return failed("give another place with --dir", "dev folder: %w", err)
	}
	own := slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == devLock })
	if len(entries) > 0 && !own {
		return usage("name a new folder with --dir", "%s holds other files", dir)
	}
	return nil
}

// take keeps other processes out.
func (d *devFolder) take() error {
	lock, err := os.OpenFile(d.path(devLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return failed("give another place with --dir", "dev folder: %w", err)
	}
	if err := lockFile(lock); err != nil {
		return errors.Join(d.notTaken(err), lock.Close())
	}
	d.lock = lock
	return d.remember(devLock, strconv.Itoa(os.Getpid()))
}

// notTaken says who has the folder, or why nobody can.
func (d *devFolder) notTaken(err error) error {
	if !errors.Is(err, errLocked) {
		return failed("give another place with --dir", "dev folder: %w", err)
	}
	return &exitError{
		code: exitFailed, reason: "DEV_FOLDER_IN_USE",
		next: "stop that one, use it with --as NAME, or give this one a --dir and --addr of its own",
		err:  fmt.Errorf("another cardvault dev runs in %s, process %s", d.dir, remembered(d.dir, devLock)),
	}
}

// fill makes what is missing.
func (d *devFolder) fill() error {
	if err := d.writeOnce(".gitignore", []byte("# Keys and cards of a demo\n*\n")); err != nil {
		return err
	}
	if err := d.writeOnce(devPolicy, access.DemoPolicy()); err != nil {
		return err
	}
	ca, err := devca.Open(d.dir, time.Now)
	if errors.Is(err, os.ErrNotExist) {
		ca, err = devca.Create(d.dir, time.Now)
	} else {
		d.reopened = true
	}
	if err != nil {
		return err
	}
	return d.certify(ca)
}

// certify writes the certificates anew, as every start does: so none is found
// expired.
func (d *devFolder) certify(ca *devca.CA) error {
	until := time.Now().Add(demoLifetime)
	templates := map[string]devca.Template{
		devServer: {Hosts: []string{"localhost", "127.0.0.1", "::1"}, NotAfter: until},
	}
	for _, name := range demoNames() {
		templates[name] = devca.Template{URIs: []string{demoSPIFFE(name)}, NotAfter: until}
	}
	for name, template := range templates {
		pair, err := ca.Issue(template)
		if err != nil {
			return err
		}
		if err := pair.Write(d.dir, name); err != nil {
			return err
		}
	}
	return nil
}

func demoSPIFFE(name string) string {
	if name, ok := strings.CutPrefix(name, demoStaff); ok {
		return "spiffe://" + demoTrustDomain + "/staff/" + name
	}
	return "spiffe://" + demoTrustDomain + "/tenant/" + demoTenant + "/" + name
}

// writeOnce writes a file that is not there yet.
func (d *devFolder) writeOnce(name string, content []byte) error {
	f, err := os.OpenFile(d.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// remember writes a line for later: the address, a token. Never a PAN.
func (d *devFolder) remember(name, line string) error {
	return os.WriteFile(d.path(name), []byte(line+"\n"), 0o600)
}

// remembered returns such a line, or nothing.
func remembered(dir, name string) string {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func (d *devFolder) path(name string) string { return filepath.Join(d.dir, name) }

// Close lets others have the folder.
func (d *devFolder) Close() error { return d.lock.Close() }

// completeFromDev takes address and certificates from the folder of a running
// `cardvault dev`.
func (c *connection) completeFromDev() error {
	if !slices.Contains(demoNames(), c.as) {
		return usage("give one of "+strings.Join(demoNames(), ", "), "--as: unknown demo principal")
	}
	if c.addr == "" {
		c.addr = remembered(c.dir, devAddress)
	}
	if c.addr == "" {
		return usage("start `cardvault dev`, or name its folder with --dev-dir", "%s is not the folder of a cardvault dev", c.dir)
	}
	if c.ca == "" {
		c.ca = filepath.Join(c.dir, devca.CertFile)
	}
	c.cert, c.key = filepath.Join(c.dir, c.as+".pem"), filepath.Join(c.dir, c.as+".key")
	return nil
}
