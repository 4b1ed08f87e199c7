package harness

import "syscall"

// attributes put a process into a group of its own that dies with us, however we end.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
