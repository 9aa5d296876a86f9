package experiment

import "github.com/finch-llm/finch/compress"

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
			e := c.info.RelativeError
			if p.fitting.runs() {
				e = measures.OutputError(p.keys[c.matrix], p.fitting.id)
			}
			errs[i] = append(errs[i], e)
		}
	}
	return errs, nil
}
