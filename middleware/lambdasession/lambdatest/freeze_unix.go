//go:build unix

package lambdatest

import "syscall"

// Freeze stops the process where it is, as Lambda does when it has answered:
// no goroutine runs, no timer fires, no connection is answered for.
func (f *Function) Freeze() { f.signal(syscall.SIGSTOP) }

// Thaw lets it go on.
func (f *Function) Thaw() { f.signal(syscall.SIGCONT) }

func (f *Function) signal(s syscall.Signal) {
	f.t.Helper()
	if err := f.process.Process.Signal(s); err != nil {
		f.t.Fatal(err)
	}
}
