package configs

import (
	"fmt"
	"math/big"
	"regexp"
	"strings"
)

var sizePattern = regexp.MustCompile(`^([0-9]{1,18}(?:\.[0-9]{1,18})?) ?([A-Za-z]+)$`)

var sizeUnits = map[string]int64{
	"b":  1,
	"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

// MaxBytes is the largest size that a budget may have: 1 EiB.
const MaxBytes = 1 << 60

// ParseBytes reads a size such as "1.2GiB", "90MB" or "3.2 GB"; kB, MB, GB and TB are powers of 1000, KiB, MiB, GiB
// and TiB of 1024, in any case. A fraction of a byte is cut off: sizes are upper bounds.
func ParseBytes(text string) (int64, error) {
	const write = `write it like "1.2GiB", "90MB" or "3.2 GB"`
	m := sizePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%s is no size: %s", describe(text), write)
	}
	unit, ok := sizeUnits[strings.ToLower(m[2])]
	if !ok {
		return 0, fmt.Errorf("%s has no unit of size: %s (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB)", describe(text), write)
	}
	value, _ := new(big.Rat).SetString(m[1])
	value.Mul(value, new(big.Rat).SetInt64(unit))
	whole := new(big.Int).Quo(value.Num(), value.Denom())
	if whole.Sign() == 0 {
		return 0, fmt.Errorf("%s is less than a byte: %s", describe(text), write)
	}
	if whole.Cmp(big.NewInt(MaxBytes)) > 0 {
		return 0, fmt.Errorf("%s is more than 1 EiB: %s", describe(text), write)
	}
	return whole.Int64(), nil
}
