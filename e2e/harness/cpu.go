package harness

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of the times in /proc, 100 a second on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// CPU is the processor time that a process has used so far; 0 where there is no /proc.
func (h *System) CPU(name string) time.Duration {
	for _, p := range h.parts {
		if p.name == name {
			return processorTime(p.process.PID())
		}
	}
	return 0
}

// Memory is how much of the machine's memory a process holds, in bytes; 0 where there is no /proc.
func (h *System) Memory(name string) int {
	for _, p := range h.parts {
		if p.name == name {
			return residentSize(p.process.PID())
		}
	}
	return 0
}

func residentSize(pid int) int {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return pages * os.Getpagesize()
}

func processorTime(pid int) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name in parentheses may hold blanks; behind it, user and system time are the 12th and 13th field.
	_, rest, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		return 0
	}
	return time.Duration(user+system) * clockTick
}
