// Package report writes what the programs of bench measure: Markdown tables that can be read as they are, put between
// the markers of a page.
package report

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Table is what is printed: a heading row and others, as Markdown.
type Table struct {
	Heads []string
	Left  int // how many columns are aligned to the left; 0 is 1

	rows [][]string
}

// Add appends a row, which must have as many cells as there are Heads.
func (t *Table) Add(cells ...string) { t.rows = append(t.rows, cells) }

// String pads the cells, so that the text can be read as it is.
func (t *Table) String() string {
	widths := make([]int, len(t.Heads))
	for _, row := range append([][]string{t.Heads}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	t.writeRow(&b, t.Heads, widths)
	for i, width := range widths {
		if t.left(i) {
			fmt.Fprintf(&b, "|%s", strings.Repeat("-", width+2))
			continue
		}
		fmt.Fprintf(&b, "|%s:", strings.Repeat("-", width+1))
	}
	b.WriteString("|\n")
	for _, row := range t.rows {
		t.writeRow(&b, row, widths)
	}
	return b.String()
}

func (t *Table) left(column int) bool { return column < max(t.Left, 1) }

func (t *Table) writeRow(b *strings.Builder, cells []string, widths []int) {
	for i, cell := range cells {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if t.left(i) {
			fmt.Fprintf(b, "| %s%s ", cell, pad)
		} else {
			fmt.Fprintf(b, "| %s%s ", pad, cell)
		}
	}
	b.WriteString("|\n")
}

// Thousands prints n with separators.
func Thousands(n int64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Mark appends what became of a goal.
func Mark(cell string, met bool) string {
	if met {
		return cell + " ✓"
	}
	return cell + " ✗"
}
