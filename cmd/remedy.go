package cmd

import (
	"errors"
	"syscall"
)

// remedies are what to do about errors of the operating system. Errors of the database bring their own advice.
var remedies = []struct {
	errors []error
	text   string
}{
	{[]error{syscall.ENOSPC, syscall.EDQUOT}, "free space on that disk and give the command again; what is committed is kept"},
	{[]error{syscall.EMFILE, syscall.ENFILE}, "let finch open more files (ulimit -n) and give the command again; what is committed is kept"},
	{[]error{syscall.EIO}, "check that disk and give the command again; what is committed is kept"},
	{[]error{syscall.EACCES, syscall.EPERM}, "change its permissions, or choose another place"},
	{[]error{syscall.EROFS}, "choose a place that can be written to"},
}

// remedy is what to do about an error, empty if that is not known.
func remedy(err error) string {
	for _, r := range remedies {
		for _, e := range r.errors {
			if errors.Is(err, e) {
				return ": " + r.text
			}
		}
	}
	return ""
}
