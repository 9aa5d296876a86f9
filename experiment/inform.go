package experiment

import (
	"context"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/evaluator"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/search"
)

const (
	// influenceSequences is how many sequences block influence is averaged over: cosines of hidden states vary little from
	// text to text.
	influenceSequences = 8
	// distanceSequences is how many the distances between blocks are averaged over, for which only the last token of each counts.
	distanceSequences = 64
	// outlierMultiple is M of OWL: how often the mean of a block's scores an outlier exceeds. 5 is what its authors' scripts take.
	outlierMultiple = 5
)

// inform measures what search methods cannot know of a model: what each level does to its layer and, if sublayers may be dropped, how much
// each block matters. The baseline needs the influence of blocks, whatever the method.
func (r *run) inform(ctx context.Context, set *search.Settings) (err error) {
	if set.LocalErrors, err = r.localErrors(r.Levels); err != nil {
		return err
	}
	if !r.Config.Levels.Drops() {
		if r.Config.Search.Method == "owl" {
			set.Outliers, err = r.outliers(ctx)
		}
		return err
	}
	slice := r.Calibration.First(influenceSequences)
	if set.Importance, err = r.perGate(r.engine.Influence(ctx, slice)); err != nil {
		return err
	}
	switch r.Config.Search.Method {
	case "subcloning":
		set.Change, err = r.perGate(r.engine.Change(ctx, slice))
	case "sliding-window":
		set.Distances, err = r.engine.Distances(ctx, r.Calibration.First(min(distanceSequences, r.Calibration.Len())))
	}
	return err
}

// outliers is the share of outlying weights in each block, on the calibration text.
func (r *run) outliers(ctx context.Context) ([]float64, error) {
	engine, err := r.fitter(r.Model, r.Calibration.Sequence)
	if err != nil {
		return nil, err
	}
	defer engine.Rest()
	shares := make([]float64, r.Model.Blocks)
	err = engine.Statistics(ctx, &evaluator.Calibration{
		Corpus: r.Calibration,
		Needs:  func(int, model.Kind) compress.Needs { return compress.NeedsSquares },
		Take: func(block int, of *[model.NumKinds]*compress.Statistics) error {
			var layers []*kernels.Matrix
			var squares [][]float64
			for _, k := range r.Model.Kinds() {
				layers, squares = append(layers, r.Model.Network.Blocks[block].Layers[k]), append(squares, of[k].Squares)
			}
			shares[block] = compress.OutlierShare(layers, squares, outlierMultiple)
			return nil
		},
	})
	return shares, err
}

// searchSettings are the settings of the file and what the layout of the space tells.
func (p *Problem) searchSettings() search.Settings {
	set := settings(&p.Config.Search)
	set.Text = p.Config.Calibration.Tokens
	for i := range p.sites {
		zeros := make([]float64, len(p.sites[i].choices))
		if weights := p.Space.Sites[i].Weights; weights > 0 {
			for l, c := range p.sites[i].choices {
				zeros[l] = 1 - float64(c.cost.nonzeros)/float64(weights)
			}
		}
		set.Zeros = append(set.Zeros, zeros)
	}
	return set
}

// perGate gives each gate the value of its block.
func (p *Problem) perGate(blocks []float64, err error) ([]float64, error) {
	if err != nil {
		return nil, err
	}
	var gates []float64
	for i := range p.sites {
		if s := &p.sites[i]; s.attn || s.mlp {
			gates = append(gates, blocks[s.block])
		}
	}
	return gates, nil
}

// localErrors is what each level does to its layer [sites][levels]: the error of the layer's outputs where the model was run on a
// text for its levels, which the database of levels in the folder dir then knows of them all, and otherwise that of its weights.
func (p *Problem) localErrors(dir string) ([][]float64, error) {
	measures, err := compress.ReadMeasures(dir)
	if err != nil {
		return nil, err
	}
	errs := make([][]float64, len(p.sites))
	for i := range p.sites {
		for _, c := range p.sites[i].choices {
			sum := 0.0 // over the layers of the site, as methods add up those of sites
			for k := range c.infos {
				e := c.infos[k].RelativeError
				if p.fitting.runs() {
					e = measures.OutputError(p.keys[c.matrices[k]], p.fitting.id)
				}
				sum += e
			}
			errs[i] = append(errs[i], sum)
		}
	}
	return errs, nil
}
