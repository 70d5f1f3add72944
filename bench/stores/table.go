package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// table is what is printed: a heading row and others, as Markdown.
type table struct {
	heads []string
	rows  [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// String pads the cells, so that the text can be read as it is. All but the first column are aligned to the right.
func (t *table) String() string {
	widths := make([]int, len(t.heads))
	for _, row := range append([][]string{t.heads}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	writeRow(&b, t.heads, widths)
	for i, width := range widths {
		if i == 0 {
			fmt.Fprintf(&b, "|%s", strings.Repeat("-", width+2))
			continue
		}
		fmt.Fprintf(&b, "|%s:", strings.Repeat("-", width+1))
	}
	b.WriteString("|\n")
	for _, row := range t.rows {
		writeRow(&b, row, widths)
	}
	return b.String()
}

func writeRow(b *strings.Builder, cells []string, widths []int) {
	for i, cell := range cells {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if i == 0 {
			fmt.Fprintf(b, "| %s%s ", cell, pad)
		} else {
			fmt.Fprintf(b, "| %s%s ", pad, cell)
		}
	}
	b.WriteString("|\n")
}

// milliseconds prints d with about three digits.
func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms >= 100:
		return fmt.Sprintf("%.0f", ms)
	case ms >= 1:
		return fmt.Sprintf("%.1f", ms)
	case ms < 0.01:
		return fmt.Sprintf("%.4f", ms)
	}
	return fmt.Sprintf("%.3f", ms)
}

// thousands prints n with separators.
func thousands(n int64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// median is the middle one; there must be one at least.
func median(values []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

// mark appends what became of a goal.
func mark(cell string, met bool) string {
	if met {
		return cell + " ✓"
	}
	return cell + " ✗"
}

// replaceSection puts text between the two markers of a section in the file at path.
func replaceSection(path, section, text string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, tail, err := cutSection(content, section)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, slices.Concat(head, []byte(text), tail), 0o644)
}

// checkSections makes sure that replaceSection will find all of them.
func checkSections(path string, sections []string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, section := range sections {
		if _, _, err := cutSection(content, section); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// cutSection returns what is up to the section's first marker, and from its last one on.
func cutSection(content []byte, section string) (head, tail []byte, err error) {
	begin, end := []byte("<!-- begin "+section+" -->\n"), []byte("<!-- end "+section+" -->")
	from := bytes.Index(content, begin)
	to := bytes.Index(content, end)
	if from < 0 || to < from {
		return nil, nil, fmt.Errorf("no lines %q and %q (add them where the tables shall be)", bytes.TrimSpace(begin), end)
	}
	return content[:from+len(begin)], content[to:], nil
}
