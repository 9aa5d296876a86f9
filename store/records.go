package store

import (
	"fmt"
	"math"
	"time"
)

// Status of a run.
type Status string

const (
	Running     Status = "running"
	Interrupted Status = "interrupted"
	Finished    Status = "finished"
	Failed      Status = "failed"
)

// Run is one execution of one experiment with one seed.
type Run struct {
	ID              int64 // given by BeginRun
	Experiment      string
	Method          string
	Seed            int64
	Config          string // canonical JSON
	ConfigHash      string
	Model           string
	ModelHash       string
	CalibrationHash string
	EvaluationHash  string
	Target          string // the file that bytes are counted in
	Budget          string
	LimitBytes      int64 // 0: the budget is not in bytes
	KernelPath      string
	Engine          int    // version of the computation of scores; 0: not known
	Architecture    string // of the processor; "": not known
	Version         string

	// Kept by the store.
	Status     Status
	Error      string
	CreatedAt  time.Time
	FinishedAt time.Time // zero until finished
	Seconds    float64   // of all sessions that ended in order
	Superseded bool
}

// Site is a place with a choice of levels; Position is its place in the genome.
type Site struct {
	Position int
	Name     string
	Kind     string
	Block    int // -1 outside the transformer blocks
	Weights  int64
}

// Level is one choice at a site.
type Level struct {
	Site          int // position
	Index         int // 0…255, its two hex digits in the genome
	Name          string
	Format        string
	Bytes         int64
	BitsPerWeight float64
	Nonzeros      int64
	RelativeError float64 // NaN: not measured
}

// CandidateStatus says how a candidate fared in the stage that first saw it; it never changes afterwards.
type CandidateStatus string

const (
	CandidateScored     CandidateStatus = "scored"
	CandidateFailed     CandidateStatus = "failed"     // the evaluator gave no finite fitness
	CandidateInfeasible CandidateStatus = "infeasible" // over the budget, not scored
)

// Candidate is one genome that a search proposed.
type Candidate struct {
	ID            int64 // 1, 2, 3, … within the run
	Slot          int
	Genome        string // two lower-case hex digits per site
	Parent        int64  // 0: a start
	Operator      string
	FileBytes     int64
	BitsPerWeight float64
	Nonzeros      int64
	Status        CandidateStatus // "" is CandidateScored
}

// Slice is the calibration tokens of one stage.
type Slice struct {
	Tokens int64
	Hash   string // of the token ids and their offsets
}

// Score is what one candidate got on one slice. NaN: not measured; a NaN fitness is a failed evaluation.
type Score struct {
	Candidate  int64
	Fitness    float64
	KL         float64
	PPL        float64
	Tokens     int64
	Seconds    float64 // how it was come by, not part of the result: neither compared nor hashed
	KernelPath string
	Memo       bool   // taken from the memo; like Seconds, neither compared nor hashed
	Key        string // hash of all that the score depends on, under which Memo finds it; "": none. Neither compared nor hashed
	Fault      string // why the evaluation failed, if it gave no score at all; neither compared nor hashed
}

// BatchRecord is one stage of one generation: its slice, the candidates it saw first, and everyone's scores.
type BatchRecord struct {
	Generation int
	Stage      int
	Slice      Slice
	Candidates []Candidate // new ones, in id order
	Scores     []Score     // one per candidate
}

// Generation closes a generation. The second half is filled by the store from the recorded batches.
type Generation struct {
	Generation    int
	BestCandidate int64 // 0: every candidate failed
	BestFitness   float64
	Seconds       float64

	Candidates  int64 // made in this generation
	Evaluations int64 // scores, those from the memo included
	Tokens      int64 // of these scores
	Chain       string
}

// Role of a result.
type Role string

const (
	Winner   Role = "winner"
	Baseline Role = "baseline"
	Dense    Role = "dense"
)

// Result is a held-out evaluation. NaN: not measured.
type Result struct {
	Role             Role
	Candidate        int64  // 0: not one of the run's candidates
	Genome           string // "" for the dense model
	Method           string
	FileBytes        int64
	BitsPerWeight    float64
	Nonzeros         int64
	KL               float64
	KLError          float64
	PPL              float64
	PPLError         float64
	Tokens           int64
	PairedDifference float64 // winner only: winner - baseline, mean over evaluation chunks; NaN without a baseline
	PairedError      float64 // winner only: half-width of its 95 % interval; NaN without a baseline
}

// Artifact is a file that a run wrote.
type Artifact struct {
	Run    int64
	Path   string
	Kind   string
	SHA256 string
	Bytes  int64
}

// number binds a float; NaN, which SQLite cannot store, becomes NULL.
func number(x float64) any {
	if math.IsNaN(x) {
		return nil
	}
	return x
}

// ref binds a reference; 0 becomes NULL.
func ref(x int64) any {
	if x == 0 {
		return nil
	}
	return x
}

// float scans a number; NULL becomes NaN.
type float struct{ to *float64 }

func (f float) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*f.to = math.NaN()
	case float64:
		*f.to = v
	case int64:
		*f.to = float64(v)
	default:
		return fmt.Errorf("%w: %T where a number should be", ErrDamaged, v)
	}
	return nil
}

// sameFloat compares as the database does: NaN, stored as NULL, equals itself.
func sameFloat(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
