package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTailHasTheGatewayFilterAndGoesOnByTheSameFilter(t *testing.T) {
	url := fakeGateway(t,
		func(v visit) {
			assert.Equal(t, "assignment=12%2Ca-b%2C7&types=grade%2Cexam_moved%2Csubmission", v.query)
			v.send(t, welcome, handIn, `{"type":"disconnect","reason":"going_away","reconnect":true,"retry_after_ms":1}`)
			_ = v.conn.Close(1001, "going_away")
		},
		func(v visit) {
			assert.Equal(t, "assignment=12%2Ca-b%2C7&since=0%2F20.1&types=grade%2Cexam_moved%2Csubmission", v.query)
			v.send(t, resumed, `{"type":"auth","ok":true}`, `{"type":"error","code":"bad_request","detail":"what?"}`,
				`{"type":"subscribed","types":null,"assignments":null,"cursor":"0/99.9","timestamp":"T"}`)
			_ = v.conn.Close(4401, "credentials_revoked")
		},
	)
	out, _, err := runTail(t.Context(), "--url", url, "--token", "k",
		"--type", "grade,exam_moved", "--assignment", "12,a-b", "--type", "submission", "--assignment", "7")
	require.ErrorContains(t, err, "4401")
	require.Equal(t, 1, bytes.Count([]byte(out), []byte("\n")), "answers are no events: %s", out)
}

func TestColoursSetOffTheKindAndAreNotWhatForeignTextCanMake(t *testing.T) {
	var out bytes.Buffer
	tl := &tail{colour: true, out: &out}
	print := func(f frame) string {
		out.Reset()
		require.NoError(t, tl.print(f, []byte(`{}`)))
		return out.String()
	}
	for kind, code := range map[string]string{
		"submission": "36", "grade": "32", "assignment": "34", "assignment_closed": "33", "gap": "31", "exam\x1b[5m": "35",
	} {
		require.Contains(t, print(frame{Type: kind, Timestamp: "T", ID: "0/1.1"}),
			"\x1b[2mT\x1b[0m  \x1b["+code+"m"+printable(kind))
	}
	line := print(frame{Type: "assignment", Title: "a\x1b[31mb", Timestamp: "T", ID: "0/1.1\x1b"})
	require.Equal(t, "\x1b[2mT\x1b[0m  \x1b[34massignment       \x1b[0m  assignment : a\uFFFD[31mb  \x1b[2m0/1.1\uFFFD\x1b[0m\n", line)

	tl.asJSON = true
	require.Equal(t, "{}\n", print(frame{Type: "grade"}))
}

func TestColoursAreForATerminalAndForWhoWantsThem(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	defer terminal.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer file.Close()
	r, pipe, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	defer pipe.Close()
	for name, c := range map[string]struct {
		out  io.Writer
		env  map[string]string
		want bool
	}{
		"a terminal":                    {terminal, map[string]string{"TERM": "xterm"}, true},
		"a terminal, and NO_COLOR":      {terminal, map[string]string{"NO_COLOR": "1"}, false},
		"a terminal, NO_COLOR is empty": {terminal, map[string]string{"NO_COLOR": ""}, true},
		"a terminal that has none":      {terminal, map[string]string{"TERM": "dumb"}, false},
		"a file":                        {file, nil, false},
		"a pipe":                        {pipe, nil, false},
		"memory":                        {io.Discard, nil, false},
	} {
		require.Equal(t, c.want, hasColours(c.out, func(name string) string { return c.env[name] }), name)
	}
}
