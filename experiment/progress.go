package experiment

// Progress is shown while an experiment runs. Calls come from one goroutine at a time.
type Progress interface {
	// Text says that done of total tokens are there of a text that a model writes itself.
	Text(done, total int)
	// Levels says that done of total levels are in the level database.
	Levels(done, total int)
	// Begin says that a run goes on from here, with the tokens it will score at most.
	Begin(experiment string, seed uint64, tokens int64)
	// Scored says that a batch has been answered. Replayed answers came from the database.
	Scored(u Update)
	// End says that the current run scores no more.
	End()
}

// Update is the state of a run after a batch.
type Update struct {
	Generation, Generations int     // of so many at most, 0 where a method has none
	Best                    float64 // fitness of the best candidate on its last slice
	Scores                  int     // asked for in this batch
	Memo                    int     // of these, taken from the memo
	Tokens                  int64   // of each
	Replayed                bool
}
