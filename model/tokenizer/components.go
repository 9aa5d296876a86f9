package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxNesting bounds sequences within sequences.
const maxNesting = 8

// component is any normalizer, pre-tokenizer or decoder of a tokenizer.json, told apart by its type.
type component struct {
	Type string `json:"type"`

	Normalizers   []json.RawMessage `json:"normalizers"`   // Sequence
	PreTokenizers []json.RawMessage `json:"pretokenizers"` // Sequence
	Decoders      []json.RawMessage `json:"decoders"`      // Sequence

	Prepend string `json:"prepend"` // Prepend
	Pattern struct {
		String *string
		Regex  *string
	} `json:"pattern"` // Replace, Split
	Content  string   `json:"content"`  // Replace, Strip
	Behavior behavior `json:"behavior"` // Split
	Invert   bool     `json:"invert"`   // Split

	AddPrefixSpace *bool `json:"add_prefix_space"` // ByteLevel, Metaspace
	UseRegex       *bool `json:"use_regex"`        // ByteLevel; absent means true

	IndividualDigits bool `json:"individual_digits"` // Digits

	Replacement   string        `json:"replacement"`    // Metaspace
	PrependScheme prependScheme `json:"prepend_scheme"` // Metaspace; absent means always
	Split         *bool         `json:"split"`          // Metaspace; absent means true

	Start int `json:"start"` // Strip
	Stop  int `json:"stop"`  // Strip
}

// parse reads a component; nil where there is none. kind is for errors.
func parse(raw json.RawMessage, kind string, depth int) (*component, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if depth > maxNesting {
		return nil, fmt.Errorf("%ss are nested more than %d deep", kind, maxNesting)
	}
	var c component
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	if c.Type == "Metaspace" {
		switch {
		case c.AddPrefixSpace != nil && !*c.AddPrefixSpace:
			c.PrependScheme = prependNever
		case c.PrependScheme == "":
			c.PrependScheme = prependAlways
		}
		if s := c.PrependScheme; s != prependAlways && s != prependFirst && s != prependNever {
			return nil, fmt.Errorf("%s Metaspace has the unknown prepend_scheme %q", kind, string(s))
		}
		if utf8.RuneCountInString(c.Replacement) != 1 {
			return nil, fmt.Errorf("%s Metaspace has the replacement %q, which is not one character", kind, c.Replacement)
		}
	}
	return &c, nil
}

// unsupported names what finch does not know; known lists what it does.
func unsupported(kind, typ, known string) error {
	return fmt.Errorf("%s %q is not supported (known: %s)", kind, typ, known)
}

func (c *component) literalPattern(kind string) (string, error) {
	if c.Pattern.String == nil {
		return "", fmt.Errorf("%s %s has a regular expression, only strings are supported", kind, c.Type)
	}
	return *c.Pattern.String, nil
}

func parseNormalizer(raw json.RawMessage, depth int) ([]normalizer, error) {
	const kind = "normalizer"
	c, err := parse(raw, kind, depth)
	if c == nil || err != nil {
		return nil, err
	}
	switch c.Type {
	case "NFC":
		return []normalizer{nfc}, nil
	case "Lowercase":
		return []normalizer{lowercase}, nil
	case "Prepend":
		return []normalizer{prepend(c.Prepend)}, nil
	case "Replace":
		old, err := c.literalPattern(kind)
		return []normalizer{replaceAll(old, c.Content)}, err
	case "Sequence":
		var all []normalizer
		for _, raw := range c.Normalizers {
			more, err := parseNormalizer(raw, depth+1)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
		return all, nil
	}
	return nil, unsupported(kind, c.Type, "NFC, Lowercase, Prepend, Replace, Sequence")
}

// preTokenizer gathers splitters. Byte-level ones come last, and then the model reads bytes.
type preTokenizer struct {
	splitters []splitter
	byteLevel bool
}

func (p *preTokenizer) add(raw json.RawMessage, depth int) error {
	const kind = "pre-tokenizer"
	c, err := parse(raw, kind, depth)
	if c == nil || err != nil {
		return err
	}
	if p.byteLevel {
		return fmt.Errorf("%s %q comes after ByteLevel, which must be last", kind, c.Type)
	}
	switch c.Type {
	case "ByteLevel":
		p.byteLevel = true
		if c.AddPrefixSpace == nil || *c.AddPrefixSpace {
			p.splitters = append(p.splitters, prefixSpace)
		}
		if c.UseRegex == nil || *c.UseRegex {
			p.splitters = append(p.splitters, splitAt(gpt2, isolated, false))
		}
	case "Split":
		match := pattern(nil)
		switch {
		case c.Pattern.String != nil:
			match = literal(*c.Pattern.String)
		case c.Pattern.Regex != nil:
			if match = findPattern(*c.Pattern.Regex); match == nil {
				return fmt.Errorf("%s Split has the regular expression %q, which finch does not know (known: %s)", kind, *c.Pattern.Regex, knownPatterns())
			}
		default:
			return fmt.Errorf("%s Split has no pattern", kind)
		}
		if err := c.Behavior.check(); err != nil {
			return fmt.Errorf("%s Split: %w", kind, err)
		}
		p.splitters = append(p.splitters, splitAt(match, c.Behavior, c.Invert))
	case "Digits":
		b := contiguous
		if c.IndividualDigits {
			b = isolated
		}
		p.splitters = append(p.splitters, splitAt(upTo(1, isNumeric), b, false))
	case "Metaspace":
		p.splitters = append(p.splitters, metaspace(c.Replacement, c.PrependScheme, c.Split == nil || *c.Split))
	case "Sequence":
		for _, raw := range c.PreTokenizers {
			if err := p.add(raw, depth+1); err != nil {
				return err
			}
		}
	default:
		return unsupported(kind, c.Type, "ByteLevel, Split, Digits, Metaspace, Sequence")
	}
	return nil
}

func knownPatterns() string {
	names := make([]string, len(patterns))
	for i, p := range patterns {
		names[i] = p.name
	}
	return strings.Join(names, ", ")
}

func (d *decoder) parse(raw json.RawMessage) error {
	d.steps, d.glue = nil, ""
	if len(raw) == 0 || string(raw) == "null" {
		d.glue = " "
		return nil
	}
	return d.add(raw, 0)
}

func (d *decoder) add(raw json.RawMessage, depth int) error {
	const kind = "decoder"
	c, err := parse(raw, kind, depth)
	if c == nil || err != nil {
		return err
	}
	var step func([]string) []string
	switch c.Type {
	case "ByteLevel":
		step = decodeBytes
	case "ByteFallback":
		step = decodeFallback
	case "Fuse":
		step = fuse
	case "Metaspace":
		step = decodeMetaspace(c.Replacement, c.PrependScheme)
	case "Replace":
		old, err := c.literalPattern(kind)
		if err != nil {
			return err
		}
		step = decodeReplace(old, c.Content)
	case "Strip":
		if utf8.RuneCountInString(c.Content) != 1 {
			return fmt.Errorf("%s Strip has the content %q, which is not one character", kind, c.Content)
		}
		step = strip(c.Content, c.Start, c.Stop)
	case "Sequence":
		for _, raw := range c.Decoders {
			if err := d.add(raw, depth+1); err != nil {
				return err
			}
		}
		return nil
	default:
		return unsupported(kind, c.Type, "ByteLevel, ByteFallback, Fuse, Metaspace, Replace, Strip, Sequence")
	}
	d.steps = append(d.steps, step)
	return nil
}
