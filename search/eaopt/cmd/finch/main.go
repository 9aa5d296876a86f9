// Command finch is finch with the search method "eaopt" beside its own.
package main

import (
	"os"

	"github.com/finch-llm/finch/cmd"
	"github.com/finch-llm/finch/search"
	"github.com/finch-llm/finch/search/eaopt"
)

func main() {
	search.Register(eaopt.Method())
	os.Exit(cmd.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
