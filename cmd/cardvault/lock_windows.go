package main

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// errLocked is returned by lockFile if another process holds the lock.
var errLocked = errors.New("another process uses it")

// lockFile takes the file for this process. The lock ends with the process,
// however it ends.
func lockFile(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	// A byte far behind the end, because Windows locks keep others from reading.
	at := &windows.Overlapped{OffsetHigh: 1 << 30}
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errLocked
	}
	return err
}
