package transfer

import "time"

// Limits bound how much moves, and when. A field that is zero is no limit.
type Limits struct {
	// BytesPerSecond is how many bytes of content move in a second, on average, on this node.
	BytesPerSecond int64

	// FilesPerSecond is how many files are begun in a second, on average, on this node.
	FilesPerSecond float64

	// Open are the times in which the partner may be contacted. Outside of them no connection is made, and files that
	// move come to their next window's end and wait. Default: always.
	Open []TimeWindow
}

// TimeWindow is a part of a day, on some days of the week.
type TimeWindow struct {
	Days     []time.Weekday // on which it begins; empty: every day
	From     string         // "HH:MM", included
	To       string         // "HH:MM", not included; where it is not after From it is of the next day
	Location *time.Location // default: UTC
}
