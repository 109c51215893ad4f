//go:build unix

package lambdatest

import "syscall"

// Freeze stops the process, as Lambda does after a response: no goroutine
// runs, no timer fires, no connection gets a response.
func (f *Function) Freeze() { f.signal(syscall.SIGSTOP) }

// Thaw continues a frozen process.
func (f *Function) Thaw() { f.signal(syscall.SIGCONT) }

func (f *Function) signal(s syscall.Signal) {
	f.t.Helper()
	if err := f.process.Process.Signal(s); err != nil {
		f.t.Fatal(err)
	}
}
