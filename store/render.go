package store

import (
	"bufio"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Formats are those that Render knows.
func Formats() []string { return []string{"table", "csv", "json", "jsonl", "markdown"} }

// Render writes a table. "table" and "markdown" are for people and round numbers to six digits; "csv" (NULL is empty),
// "json" (an array of objects) and "jsonl" (an object per line) give every digit, and keep the order of the columns.
func Render(w io.Writer, t *Table, format string) error {
	if !slices.Contains(Formats(), format) {
		return fmt.Errorf("render: unknown format %q: use %s", format, strings.Join(Formats(), ", "))
	}
	out := bufio.NewWriter(w)
	var err error
	switch format {
	case "csv":
		err = renderCSV(out, t)
	case "json":
		err = renderJSON(out, t)
	case "jsonl":
		err = renderLines(out, t)
	default:
		_, err = fmt.Fprintln(out, pretty(t, format))
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("render as %s: %w", format, err)
	}
	return nil
}

func pretty(t *Table, format string) string {
	w := table.NewWriter()
	w.SetStyle(table.StyleLight)
	w.Style().Format.Header = text.FormatDefault // column names as they are, to be typed into the next query
	configs := make([]table.ColumnConfig, len(t.Columns))
	header := make(table.Row, len(t.Columns))
	for i, name := range t.Columns {
		header[i] = name
		configs[i] = table.ColumnConfig{Number: i + 1}
		if numeric(t, i) {
			configs[i].Align, configs[i].AlignHeader = text.AlignRight, text.AlignRight
		}
	}
	w.SetColumnConfigs(configs)
	w.AppendHeader(header)
	for _, values := range t.Rows {
		row := make(table.Row, len(values))
		for i, v := range values {
			row[i] = plain(v, 6)
		}
		w.AppendRow(row)
	}
	if format == "markdown" {
		return w.RenderMarkdown()
	}
	return w.Render()
}

// numeric says whether a column holds numbers, and no text.
func numeric(t *Table, column int) bool {
	found := false
	for _, row := range t.Rows {
		switch row[column].(type) {
		case int64, float64:
			found = true
		case string, []byte:
			return false
		}
	}
	return found
}

// plain writes a value as text, floats with so many digits (-1: all that tell it from its neighbours).
func plain(v any, digits int) string {
	switch v := v.(type) {
	case nil:
		return ""
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', digits, 64)
	case string:
		return v
	case []byte:
		return hex.EncodeToString(v)
	}
	return fmt.Sprint(v)
}

func renderCSV(w io.Writer, t *Table) error {
	out := csv.NewWriter(w)
	if err := out.Write(t.Columns); err != nil {
		return err
	}
	record := make([]string, len(t.Columns))
	for _, row := range t.Rows {
		for i, v := range row {
			record[i] = plain(v, -1)
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func renderJSON(w io.Writer, t *Table) error {
	separator := "[\n  "
	for _, row := range t.Rows {
		object, err := jsonObject(t.Columns, row)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s%s", separator, object); err != nil {
			return err
		}
		separator = ",\n  "
	}
	end := "\n]\n"
	if len(t.Rows) == 0 {
		end = "[]\n"
	}
	_, err := io.WriteString(w, end)
	return err
}

func renderLines(w io.Writer, t *Table) error {
	for _, row := range t.Rows {
		object, err := jsonObject(t.Columns, row)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s\n", object); err != nil {
			return err
		}
	}
	return nil
}

// jsonObject keeps the order of the columns, which a map would not. JSON has no infinity: it becomes null.
func jsonObject(columns []string, row []any) ([]byte, error) {
	object := []byte("{")
	for i, v := range row {
		if x, ok := v.(float64); ok && (math.IsInf(x, 0) || math.IsNaN(x)) {
			v = nil
		}
		if blob, ok := v.([]byte); ok {
			v = hex.EncodeToString(blob)
		}
		key, err := json.Marshal(columns[i])
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			object = append(object, ", "...)
		}
		object = append(append(append(object, key...), ": "...), value...)
	}
	return append(object, '}'), nil
}
