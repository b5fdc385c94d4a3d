//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: it reads processor and memory from /proc, which only Linux has; fix: run it on Linux")
	os.Exit(1)
}
