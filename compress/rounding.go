package compress

// nearest is v rounded to an integer, ties to even, within 0…top.
func nearest(v, top float64) float64 {
	const magic = 0x1.8p52 // adding it leaves no bits for a fraction
	q := v + magic - magic
	if q < 0 {
		return 0
	}
	if q > top {
		return top
	}
	return q
}

// reciprocal64 is 1/d, and 0 for a scale of 0, all of whose codes mean the same.
func reciprocal64(d float64) float64 {
	if d == 0 {
		return 0
	}
	return 1 / d
}

// widen copies weights to float64.
func widen(dst []float64, src []float32) {
	for i, v := range src[:len(dst)] {
		dst[i] = float64(v)
	}
}
