package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/store"
)

func newQuery() *cobra.Command {
	var format string
	var params []string
	var limit time.Duration
	var list bool
	c := &cobra.Command{
		Use:   "query [NAME | SQL]",
		Short: "ask the database: a named query, or one SQL statement that reads",
		Long:  "query answers a named query, or any SQL statement that only reads.\n\n" + describeQueries(),
		Example: `  finch query best --format json
  finch query layers --param run=bits-3.5
  finch query "SELECT experiment, count(*) FROM runs GROUP BY experiment"`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if list || len(args) == 0 {
				fmt.Fprint(c.OutOrStdout(), describeQueries())
				return nil
			}
			values := map[string]any{}
			for _, p := range params {
				name, value, ok := strings.Cut(p, "=")
				if !ok {
					return usagef("--param %s: write --param NAME=VALUE", p)
				}
				values[name] = value
			}
			ctx, cancel := context.WithTimeout(c.Context(), limit)
			defer cancel()
			return withDatabase(c, func(db *store.DB) error {
				t, err := db.Query(ctx, args[0], values)
				if errors.Is(err, context.DeadlineExceeded) {
					return fmt.Errorf("no answer within %v: ask for less, or raise --time-limit", limit)
				}
				if err != nil {
					return queryError(err)
				}
				return store.Render(c.OutOrStdout(), t, format)
			})
		},
	}
	c.Flags().StringVar(&format, "format", "table", strings.Join(store.Formats(), ", "))
	c.Flags().StringArrayVar(&params, "param", nil, "value of a query's parameter, as NAME=VALUE")
	c.Flags().DurationVar(&limit, "time-limit", 30*time.Second, "give up after this time")
	c.Flags().BoolVar(&list, "list", false, "list the named queries")
	c.PreRunE = func(*cobra.Command, []string) error { return checkFormat(format) }
	return c
}

func checkFormat(format string) error {
	if !slices.Contains(store.Formats(), format) {
		return usagef("--format %s: write one of %s", format, strings.Join(store.Formats(), ", "))
	}
	return nil
}

// queryError marks what is a mistake of the user's: a query that says nothing, or asks about what is not there.
func queryError(err error) error {
	for _, mistake := range []error{store.ErrQuery, store.ErrWriting, store.ErrNotFound} {
		if errors.Is(err, mistake) {
			return usageError{err}
		}
	}
	return err
}

func describeQueries() string {
	var b strings.Builder
	b.WriteString("Named queries:\n")
	for _, q := range store.Queries() {
		fmt.Fprintf(&b, "  %-12s %s\n", q.Name, q.Description)
		for _, p := range q.Params {
			fmt.Fprintf(&b, "  %-12s   --param %s=…  %s\n", "", p.Name, p.Description)
		}
	}
	return b.String()
}

// withDatabase opens the database for reading.
func withDatabase(c *cobra.Command, f func(*store.DB) error) error {
	if err := requireDatabase(c); err != nil {
		return err
	}
	db, err := store.OpenReadOnly(c.Context(), database(c))
	if err != nil {
		return err
	}
	defer db.Close()
	return f(db)
}

// requireDatabase refuses to make a database where there should be one.
func requireDatabase(c *cobra.Command) error { return databaseExists(database(c)) }

func databaseExists(path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no database %s here: finch run makes one, --db names another", path)
	}
	return nil
}
