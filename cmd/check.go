package cmd

import (
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/store"
)

func newCheck() *cobra.Command {
	var fingerprint bool
	c := &cobra.Command{
		Use:   "check [DB]",
		Short: "verify a database and its levels, or print the fingerprint of what was recorded",
		Long: `check verifies a database: its structure, its references, the chained hash of every closed generation, and the checksum of every
level file beside it, and compares the models that were exported with the hashes they had: those that are not where they were
written are listed, and those that have changed are problems. It repairs nothing. With --fingerprint it prints one hash over what was recorded, timings aside: a run that
was killed and resumed has the fingerprint of one that was not.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				if err := c.Flags().Set("db", args[0]); err != nil {
					return err
				}
			}
			return withDatabase(c, func(db *store.DB) error {
				if fingerprint {
					f, err := db.Fingerprint(c.Context())
					if err != nil {
						return err
					}
					fmt.Fprintln(c.OutOrStdout(), f)
					return nil
				}
				return check(c, db)
			})
		},
	}
	c.Flags().BoolVar(&fingerprint, "fingerprint", false, "print one hash over what was recorded")
	return c
}

func check(c *cobra.Command, db *store.DB) error {
	problems, err := db.Check(c.Context())
	if err != nil {
		return err
	}
	for _, p := range problems {
		fmt.Fprintln(c.OutOrStdout(), p)
	}
	files := 0
	var damaged []*compress.DamagedError
	folder := levelsFolder(database(c))
	if _, statErr := os.Stat(folder); statErr == nil {
		if files, damaged, err = compress.Verify(folder); err != nil {
			return err
		}
	}
	for _, d := range damaged {
		fmt.Fprintf(c.OutOrStdout(), "%v: 'finch levels verify --repair' deletes it, and 'finch run' builds it again\n", d)
	}
	artifacts, err := db.Artifacts(c.Context())
	if err != nil {
		return err
	}
	exported, err := verifyArtifacts(c.Context(), artifacts)
	if err != nil {
		return err
	}
	for _, line := range slices.Concat(exported.differs, exported.missing) {
		fmt.Fprintln(c.OutOrStdout(), line)
	}
	if len(problems) > 0 || len(damaged) > 0 || len(exported.differs) > 0 {
		return fmt.Errorf("%s is not sound: see above", database(c))
	}
	fmt.Fprintf(c.OutOrStdout(), "%s is sound; %d level files", database(c), files)
	if len(artifacts) > 0 {
		fmt.Fprintf(c.OutOrStdout(), " and %d of %d exports", exported.sound, exported.sound+len(exported.missing))
	}
	fmt.Fprintln(c.OutOrStdout(), " verified")
	return nil
}
