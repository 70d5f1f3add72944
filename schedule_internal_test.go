package transfer

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	require.NoError(t, err)
	return l
}

func open(windows ...TimeWindow) schedule { return scheduleOf(&Limits{Open: windows}) }

func TestScheduleIsOpenAndOpensNext(t *testing.T) {
	t.Parallel()
	berlin := zone(t, "Europe/Berlin")
	workdays := []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	office := TimeWindow{Days: workdays, From: "08:00", To: "18:00", Location: berlin}
	night := TimeWindow{Days: []time.Weekday{time.Friday}, From: "22:00", To: "06:00"}
	whole := TimeWindow{Days: []time.Weekday{time.Monday}, From: "06:00", To: "06:00"}
	for _, test := range []struct {
		name    string
		windows []TimeWindow
		at      string // closing is empty where the schedule is closed, next where it is open
		next    string
		closing string
	}{
		{"always", nil, "2026-11-22T10:00:00Z", "", "never"},
		{"from is included", []TimeWindow{{From: "10:00", To: "11:00"}}, "2026-11-22T10:00:00Z", "", "2026-11-22T11:00:00Z"},
		{"to is not", []TimeWindow{{From: "10:00", To: "11:00"}}, "2026-11-22T11:00:00Z", "2026-11-23T10:00:00Z", ""},
		{"a moment before", []TimeWindow{{From: "10:00", To: "11:00"}}, "2026-11-22T09:59:59.999999999Z", "2026-11-22T10:00:00Z", ""},
		{"the last moment", []TimeWindow{{From: "10:00", To: "11:00"}}, "2026-11-22T10:59:59.999999999Z", "", "2026-11-22T11:00:00Z"},
		{"weekend", []TimeWindow{office}, "2026-11-20T17:00:00Z", "2026-11-23T07:00:00Z", ""},
		{"in the office", []TimeWindow{office}, "2026-11-20T16:59:00Z", "", "2026-11-20T17:00:00Z"},
		{"overnight, before midnight", []TimeWindow{night}, "2026-11-20T23:00:00Z", "", "2026-11-21T06:00:00Z"},
		{"overnight, after midnight", []TimeWindow{night}, "2026-11-21T05:00:00Z", "", "2026-11-21T06:00:00Z"},
		{"the morning of the day on which it begins", []TimeWindow{night}, "2026-11-20T05:00:00Z", "2026-11-20T22:00:00Z", ""},
		{"a whole day", []TimeWindow{whole}, "2026-11-24T05:59:59Z", "", "2026-11-24T06:00:00Z"},
		{"after a whole day", []TimeWindow{whole}, "2026-11-24T06:00:00Z", "2026-11-30T06:00:00Z", ""},
		{"every day all day", []TimeWindow{{From: "00:00", To: "00:00"}}, "2026-11-24T06:00:00Z", "", "never"},
		{"two that meet", []TimeWindow{{From: "08:00", To: "12:00"}, {From: "12:00", To: "13:00"}}, "2026-11-24T09:00:00Z", "", "2026-11-24T13:00:00Z"},
		{"two zones", []TimeWindow{{From: "08:00", To: "09:00"}, {From: "08:00", To: "09:00", Location: berlin}}, "2026-11-24T06:00:00Z", "2026-11-24T07:00:00Z", ""},
		{"clocks are set forward", []TimeWindow{{From: "02:30", To: "04:00", Location: berlin}}, "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", ""},
		{"and it is shorter", []TimeWindow{{From: "02:30", To: "04:00", Location: berlin}}, "2026-03-29T01:00:00Z", "", "2026-03-29T02:00:00Z"},
		{"or is not at all", []TimeWindow{{From: "02:15", To: "02:45", Location: berlin}}, "2026-03-28T02:00:00Z", "2026-03-30T00:15:00Z", ""},
		{"not for a week", []TimeWindow{{Days: []time.Weekday{time.Sunday}, From: "02:15", To: "02:45", Location: berlin}}, "2026-03-28T02:00:00Z", "2026-04-05T00:15:00Z", ""},
		{"clocks are set back", []TimeWindow{{From: "01:30", To: "02:15", Location: berlin}}, "2026-10-25T00:15:00Z", "2026-10-25T01:00:00Z", ""},
		{"and it comes twice", []TimeWindow{{From: "01:30", To: "02:15", Location: berlin}}, "2026-10-25T01:00:00Z", "", "2026-10-25T01:15:00Z"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := open(test.windows...)
			at, err := time.Parse(time.RFC3339Nano, test.at)
			require.NoError(t, err)
			require.Equal(t, test.closing != "", s.open(at))
			next, ok := s.next(at)
			require.True(t, ok)
			if test.next == "" {
				test.next = test.at
			}
			require.Equal(t, test.next, next.UTC().Format(time.RFC3339Nano))
			if test.closing != "" {
				closing, ok := s.closing(at)
				require.Equal(t, test.closing != "never", ok)
				require.True(t, !ok || test.closing == closing.UTC().Format(time.RFC3339Nano), closing)
			}
		})
	}
}

func TestSchedulesThatNeverMeetNeverOpen(t *testing.T) {
	t.Parallel()
	s := open(TimeWindow{From: "08:00", To: "09:00"}).with(open(TimeWindow{From: "10:00", To: "11:00"}))
	_, ok := s.next(time.Now())
	require.False(t, ok)
	require.Equal(t, longestQuiet, s.untilOpen(time.Now()))
	require.Zero(t, s.openFor(time.Now(), time.Now().Add(100*24*time.Hour)))
	require.Contains(t, outsideWindow("acme", s, time.Now()).Error(), "meets")
}

func TestTimeInAScheduleIsCounted(t *testing.T) {
	t.Parallel()
	monday := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	s := open(TimeWindow{From: "08:00", To: "18:00"})
	require.Equal(t, 70*time.Hour, s.openFor(monday, monday.AddDate(0, 0, 7)))
	require.Equal(t, time.Hour, s.openFor(monday.Add(17*time.Hour), monday.Add(20*time.Hour)))
	require.Equal(t, 7*24*time.Hour, schedule(nil).openFor(monday, monday.AddDate(0, 0, 7)))
	require.Zero(t, s.openFor(monday.Add(time.Hour), monday))
}

// FuzzSchedule holds that next is open and nothing before it, and closing is not and everything before it is.
func FuzzSchedule(f *testing.F) {
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "America/Sao_Paulo"}
	for i := range zones {
		f.Add(int64(1774742400+i*3600), uint8(i), uint8(1<<i), uint16(22*60), uint16(6*60), uint16(100*i), uint16(1000))
		f.Add(int64(1792890000), uint8(i), uint8(0), uint16(90), uint16(135), uint16(7), uint16(7))
	}
	f.Fuzz(func(t *testing.T, at int64, in, days uint8, from, to, from2, to2 uint16) {
		window := func(days uint8, from, to uint16) (w TimeWindow) {
			w.From, w.To = fmt.Sprintf("%02d:%02d", from/60%24, from%60), fmt.Sprintf("%02d:%02d", to/60%24, to%60)
			w.Location = zone(t, zones[int(in)%len(zones)])
			for _, day := range weekdays {
				if days>>day&1 == 1 {
					w.Days = append(w.Days, day)
				}
			}
			return w
		}
		s := open(window(days, from, to), window(days>>1, from2, to2))
		now := time.Unix(at%(1<<33), at%1e9)
		next, ok := s.next(now)
		if !ok { // one that is in the hour that clocks leave out, perhaps
			require.False(t, s.open(now))
			return
		}
		require.True(t, s.open(next))
		require.False(t, next.Before(now))
		for before := now; before.Before(next); before = before.Add(min(13*time.Minute, max(time.Second, next.Sub(before)/2))) {
			require.False(t, s.open(before), "%v, next is %v", before, next)
		}
		closing, ok := s.closing(next)
		if !ok {
			closing = next.Add(48 * time.Hour)
		} else {
			require.False(t, s.open(closing))
		}
		for in := next; in.Before(closing); in = in.Add(min(13*time.Minute, max(time.Second, closing.Sub(in)/2))) {
			require.True(t, s.open(in), "%v, it closes at %v", in, closing)
		}
	})
}
