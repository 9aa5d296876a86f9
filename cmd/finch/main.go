// Command finch searches, by evolution, for the best per-layer compression of a language model.
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
