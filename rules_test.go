package transfer_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// rules gives the client rules.
func rules(r map[string]transfer.Rule) func(*transfer.Config) {
	return func(c *transfer.Config) { c.Rules = r }
}

func nothing(context.Context, *transfer.TaskFile) error { return nil }

func TestWrongRulesAreNamedAllAtOnce(t *testing.T) {
	t.Parallel()
	_, err := transfer.New(transfer.Config{Rules: map[string]transfer.Rule{
		"":       {},
		"a\nb":   {Direction: 7, SourceDirectory: "/a/../b", TargetDirectory: strings.Repeat("x", 2000)},
		"wrong":  {Overwrite: "x", Verify: "y", Ledger: "z", Priority: 9},
		"tasks":  {Before: []transfer.Task{nil, transfer.Call("", true, nothing), transfer.VerifyTarget()}, After: make([]transfer.Task, 101)},
		"out":    {Direction: store.Send, After: []transfer.Task{transfer.GunzipTarget(0), transfer.CopyTarget("/x")}},
		"in":     {Direction: store.Retrieve, After: []transfer.Task{transfer.CopySource("/x"), transfer.GunzipTarget(-1), transfer.Call("c", true, nil)}},
		"moves":  {OnError: []transfer.Task{transfer.RenameSource("a/b"), transfer.RenameSource("{when}"), transfer.MoveSource(""), transfer.MoveSource("/a/../b")}},
		"moves2": {OnError: []transfer.Task{transfer.MoveTarget("/{name}"), transfer.RenameTarget("{base"), transfer.RenameTarget(""), transfer.Forward("", "")}},
		"fine": {Direction: store.Retrieve, SourceDirectory: "/out", TargetDirectory: "in", Overwrite: transfer.OverwriteFail, Verify: transfer.VerifyReadBack,
			Ledger: transfer.LedgerSkip, Priority: store.High, Before: []transfer.Task{transfer.MakeTargetDirectory(), transfer.CopySource("{date}")}[:1],
			After: []transfer.Task{transfer.VerifyTarget(), transfer.GunzipTarget(0), transfer.MoveSource("/done/{date}"), transfer.Forward("b", "x")}},
	}})
	for _, want := range []string{
		`Config.Rules has the name "" (use 1 to 255 characters of one line)`, `Config.Rules has the name "a\nb" (`,
		`Config.Rules["a\nb"].Direction is 7 (use store.Send or store.Retrieve, or 0 for both)`,
		`Config.Rules["a\nb"].SourceDirectory is "/a/../b" (use one without ..)`, `Config.Rules["a\nb"].TargetDirectory is "xxx`,
		`Config.Rules["wrong"].Overwrite is "x" (use REPLACE, FAIL or SKIP)`, `Config.Rules["wrong"].Verify is "y" (`,
		`Config.Rules["wrong"].Ledger is "z" (`, `Config.Rules["wrong"].Priority is 9 (`,
		`Config.Rules["tasks"].Before[0] is nil (`, `Config.Rules["tasks"].Before[1] has the name "" (`,
		`Config.Rules["tasks"].Before[2], "verify target", is about a file that was delivered (put it into After)`,
		`Config.Rules["tasks"].After has 101 tasks (use up to 100)`,
		`Config.Rules["out"].After[0], "gunzip target", cannot be done: the content of files at the partner`,
		`Config.Rules["out"].After[1], "copy target to /x", cannot be done`, `Config.Rules["in"].After[0], "copy source to /x", cannot be done`,
		`Config.Rules["in"].After[1], "gunzip target", makes at most -1 bytes (`, `Config.Rules["in"].After[2], "c", has no function (`,
		`Config.Rules["moves"].OnError[0], "rename source to a/b", has a pattern that is not a name`,
		`Config.Rules["moves"].OnError[1], "rename source to {when}", has the placeholder {when} (use {name}, {base}, {ext}, {date}, {time}, {id}, {transfer})`,
		`Config.Rules["moves"].OnError[2], "move source to ", has a directory that is none`, `Config.Rules["moves"].OnError[3], "move source to /a/../b", has a directory`,
		`Config.Rules["moves2"].OnError[0], "move target to /{name}", has the placeholder {name} (use {date}, {time}, {id}, {transfer})`,
		`Config.Rules["moves2"].OnError[1], "rename target to {base", has the placeholder`, `Config.Rules["moves2"].OnError[2], "rename target to ", has a pattern`,
		`Config.Rules["moves2"].OnError[3], "forward to ", has a wrong connector id`,
	} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), `"fine"`)
}

func TestARequestTakesFromItsRule(t *testing.T) {
	t.Parallel()
	b := setup(t, rules(map[string]transfer.Rule{
		"out": {Direction: store.Send, SourceDirectory: "/outbox/acme", TargetDirectory: "/in", Overwrite: transfer.OverwriteFail, Priority: store.High},
		"in":  {Direction: store.Retrieve, SourceDirectory: "ready/", TargetDirectory: "/inbox"},
		"any": {TargetDirectory: "/x"},
	}))
	at := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		in             transfer.StartFileTransferInput
		source, target string
		priority       store.Priority
	}{
		"relative":        {transfer.StartFileTransferInput{RuleName: "out", SendFilePaths: []string{"a.csv"}}, "/outbox/acme/a.csv", "/in/a.csv", store.High},
		"below":           {transfer.StartFileTransferInput{RuleName: "out", SendFilePaths: []string{"sub/a.csv"}}, "/outbox/acme/sub/a.csv", "/in/a.csv", store.High},
		"absolute":        {transfer.StartFileTransferInput{RuleName: "out", SendFilePaths: []string{"/outbox/acme/a.csv"}}, "/outbox/acme/a.csv", "/in/a.csv", store.High},
		"the same target": {transfer.StartFileTransferInput{RuleName: "out", SendFilePaths: []string{"a.csv"}, RemoteDirectoryPath: "/in/"}, "/outbox/acme/a.csv", "/in/a.csv", store.High},
		"a target below":  {transfer.StartFileTransferInput{RuleName: "out", SendFilePaths: []string{"a.csv"}, RemoteDirectoryPath: "/in/b"}, "/outbox/acme/a.csv", "/in/b/a.csv", store.High},
		"retrieve":        {transfer.StartFileTransferInput{RuleName: "in", RetrieveFilePaths: []string{"a.csv"}}, "ready/a.csv", "/inbox/a.csv", 0},
		"both ways":       {transfer.StartFileTransferInput{RuleName: "any", RetrieveFilePaths: []string{"../a.csv"}}, "../a.csv", "/x/a.csv", 0},
		"a label":         {transfer.StartFileTransferInput{RuleName: "other", SendFilePaths: []string{"a.csv"}}, "a.csv", "a.csv", 0},
	} {
		c.in.StartAt = at
		id := b.start(c.in)
		files, err := b.store.ListFiles(t.Context(), store.Query{TransferID: id})
		require.NoError(t, err)
		require.Equal(t, c.source, files[0].SourcePath, name)
		require.Equal(t, c.target, files[0].TargetPath, name)
		require.Equal(t, c.priority, files[0].Priority, name)
		require.Equal(t, c.in.RuleName, files[0].RuleName, name)
	}
}

func TestWhatContradictsARuleIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, rules(map[string]transfer.Rule{"out": {Direction: store.Send, SourceDirectory: "/outbox", TargetDirectory: "/in"}, "rel": {SourceDirectory: "outbox"}}))
	for name, c := range map[string]struct {
		in    transfer.StartFileTransferInput
		wrong string
	}{
		"direction":          {transfer.StartFileTransferInput{RuleName: "out", RetrieveFilePaths: []string{"a"}, LocalDirectoryPath: "/in"}, "RetrieveFilePaths"},
		"target":             {transfer.StartFileTransferInput{RuleName: "out", SendFilePaths: []string{"a"}, RemoteDirectoryPath: "/inner"}, "RemoteDirectoryPath"},
		"target that climbs": {transfer.StartFileTransferInput{RuleName: "out", SendFilePaths: []string{"a"}, RemoteDirectoryPath: "/in/x/../../b"}, "RemoteDirectoryPath"},
		"path that climbs":   {transfer.StartFileTransferInput{RuleName: "out", SendFilePaths: []string{"x", "b/../../a"}}, "SendFilePaths[1]"},
		"path elsewhere":     {transfer.StartFileTransferInput{RuleName: "out", SendFilePaths: []string{"/outbox2/a"}}, "SendFilePaths[0]"},
		"a backslash":        {transfer.StartFileTransferInput{RuleName: "out", SendFilePaths: []string{`..\a`}}, "SendFilePaths[0]"},
		"an absolute path":   {transfer.StartFileTransferInput{RuleName: "rel", SendFilePaths: []string{"/outbox/a"}}, "SendFilePaths[0]"},
		"a long path":        {transfer.StartFileTransferInput{RuleName: "out", SendFilePaths: []string{strings.Repeat("x", 1020)}}, "SendFilePaths[0]"},
	} {
		c.in.ConnectorID = "acme"
		_, err := b.client.StartFileTransfer(t.Context(), &c.in)
		var invalid *transfer.InvalidRequestException
		require.ErrorAs(t, err, &invalid, name)
		require.Len(t, invalid.Fields, 1, name)
		require.Equal(t, c.wrong, invalid.Fields[0].Name, name)
	}
}

func TestRuleOptionsApplyToItsFiles(t *testing.T) {
	t.Parallel()
	b := setup(t, rules(map[string]transfer.Rule{"once": {Overwrite: transfer.OverwriteFail}}))
	b.local.WriteFile("a.bin", []byte("ours"))
	b.remote.WriteFile("a.bin", []byte("theirs"))
	r := b.run(transfer.StartFileTransferInput{RuleName: "once", SendFilePaths: []string{"a.bin"}})
	require.Equal(t, transfer.FileExists, r[0].FailureDetail)
	r = b.run(transfer.StartFileTransferInput{RuleName: "once", SendFilePaths: []string{"a.bin"}, Overwrite: transfer.OverwriteReplace})
	require.NoError(t, r[0].Err(), "the request's own word counts")
}

// A call is repeated after the rule was changed.
func TestTheRequestHashIsOfTheRequestAlone(t *testing.T) {
	t.Parallel()
	b := setup(t, rules(map[string]transfer.Rule{"r": {TargetDirectory: "/one"}}))
	in := transfer.StartFileTransferInput{ConnectorID: "acme", RuleName: "r", SendFilePaths: []string{"a"}, ClientToken: "t"}
	first, err := b.client.StartFileTransfer(t.Context(), &in)
	require.NoError(t, err)
	other := b.newClient(rules(map[string]transfer.Rule{"r": {TargetDirectory: "/two", Overwrite: transfer.OverwriteSkip}}))
	again, err := other.StartFileTransfer(t.Context(), &in)
	require.NoError(t, err)
	require.Equal(t, first, again)
}

func TestAFileWaitsForANodeThatHasItsRule(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, policy(transfer.RetryPolicy{MaxAttempts: 2}))
		var ran int
		rule := rules(map[string]transfer.Rule{"r": {Before: []transfer.Task{transfer.Call("count", true, func(context.Context, *transfer.TaskFile) error { ran++; return nil })}}})
		b.local.WriteFile("a.bin", content(1, 100))
		knows := b.newClient(policy(transfer.RetryPolicy{MaxAttempts: 2}), rule)
		out, err := knows.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", RuleName: "r", SendFilePaths: []string{"a.bin"}})
		require.NoError(t, err)
		time.Sleep(20 * time.Minute)
		r := b.row(out.TransferID)
		require.Equal(t, store.Waiting, r.State, "as long as it takes, whatever MaxAttempts")
		require.Equal(t, transfer.RuleNotFound, r.FailureDetail)
		require.Equal(t, transfer.InternalError, r.FailureCode)
		require.NotContains(t, b.remote.Paths(), "a.bin", "a node without the rule moves nothing")
		require.Zero(t, b.partner.Calls(transfertest.OpConnect))

		require.NoError(t, knows.Start(context.WithoutCancel(t.Context())))
		b.wait(out.TransferID)
		require.NoError(t, knows.Shutdown(t.Context()))
		require.Equal(t, 1, ran)
		require.Contains(t, b.remote.Paths(), "a.bin")
	})
}

func TestARetryKeepsTheRule(t *testing.T) {
	t.Parallel()
	var ran int
	b := setup(t, rules(map[string]transfer.Rule{"r": {SourceDirectory: "/out", Priority: store.Low,
		After: []transfer.Task{transfer.Call("count", true, func(context.Context, *transfer.TaskFile) error { ran++; return nil })}}}))
	id := b.start(transfer.StartFileTransferInput{RuleName: "r", SendFilePaths: []string{"a.bin"}})
	require.Equal(t, transfer.SendFileNotFound, b.wait(id).FailureCode)
	b.local.WriteFile("/out/a.bin", content(1, 100))
	again, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{TransferID: id})
	require.NoError(t, err)
	r := b.wait(again.Transfers[0].TransferID)
	require.NoError(t, r.Err())
	require.Equal(t, "r", r.RuleName)
	require.Equal(t, 1, ran)
	files, err := b.store.ListFiles(t.Context(), store.Query{TransferID: r.TransferID})
	require.NoError(t, err)
	require.Equal(t, store.Low, files[0].Priority)
}
