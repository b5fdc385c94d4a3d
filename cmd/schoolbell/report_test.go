package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// unpack answers the files of an archive by their names, without the folder.
func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	packed, err := gzip.NewReader(f)
	require.NoError(t, err)
	files := map[string]string{}
	for r := tar.NewReader(packed); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		_, name, _ := strings.Cut(h.Name, "/")
		files[name] = string(text)
	}
}

// inEveryForm is a secret as it may be found.
func inEveryForm(secret string) []string {
	return []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), strings.TrimPrefix(url.UserPassword("", secret).String(), ":"), hex.EncodeToString([]byte(secret)),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
	}
}

// A school with secrets of every kind is at work, and shows them everywhere: at the doors, in
// the log at its most talkative, in a log that was given. Nothing of it is in the archive.
func TestTheReportHoldsNoSecretAndNobody(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dir := t.TempDir()
	const password, sessions, jwtKey, service, header = "pw+of/the&bell", "lms-secret-key-0123456789abcdef", "jwt-secret-0123456789-0123456789-0123", "token-of-a-service-0123", "api-key-of-the-gateway"
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	role := s.role("LOGIN REPLICATION PASSWORD '" + password + "'")
	s.exec(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO ` + role)
	database := s.addressed(func(u *url.URL) { u.User = url.UserPassword(role, password) })
	config := write("bell.yaml", fmt.Sprintf("database: %s\nslot: %s\ndata: %s\nlisten: %s\nadmin_listen: %s\nsession_secret: %s\njwt_keys: %s\npublish_tokens: [%s]\nlog_level: debug\nintrospect_url: https://127.0.0.1:1/me\nintrospect_cookie: lmsid\nintrospect_headers: ['X-Api-Key: %s']\n",
		database, s.slot, s.data, s.address, s.admin, sessions, write("jwt", jwtKey), service, header))
	gateway := start(t, "serve", "--config", config)
	get(t, s.base()+"/readyz", func(_ int, body string) bool { // the LMS that is shown cookies is away
		return strings.Contains(body, `"snapshot":{"ok":true},"stream":{"ok":true}`)
	})
	person := s.school.Admins[0]
	d := s.watch(person)
	s.grade(77)
	s.sees(d, 1)
	const cookie = "cookie-of-somebody-0123456789"
	for _, headers := range [][]string{{"Cookie", "sessionid=" + cookie}, {"Authorization", "Token " + strings.Repeat("f00d", 10)}, {"Authorization", "Bearer " + service}} {
		s.statusAt(s.base(), headers...)
	}
	// The fields in which people stand are in this log.
	require.Contains(t, get(t, "http://"+s.admin+"/log", ready), fmt.Sprintf(`"user":%d,`, person.ID))
	log := write("old.log", fmt.Sprintf("level=DEBUG msg=\"session opened\" user=%d remote=192.0.2.77\nGET /ws/dashboard/?token=%s by %s\nCookie: sessionid=%s\nconnect to %s\n", person.ID, person.Token, person.Email, cookie, database))

	out := filepath.Join(dir, "report.tar.gz")
	code, said := schoolbell(t, "report", "--config", config, "--out", out, "--log", log)
	require.Zero(t, code, said)
	require.Contains(t, said, out+" is written: 11 files; look into it")
	files := unpack(t, out)
	for name, want := range map[string]string{
		"version.txt": "schoolbell ", "machine.txt": "processors", "config.txt": "slot: " + s.slot + "  # file", "data.txt": " in all\n", "check.txt": "schoolbell",
		"database.json": `"slot_name": "` + s.slot + `"`, "gateway/readyz.json": `"publication":{"ok":true}`, "gateway/metrics.txt": "schoolbell_slot_active 1\n", "gateway/config.txt": "publish_tokens: ",
		"gateway/log.jsonl": `"msg":"session opened"`, "log.txt": `msg="session opened" user=[redacted] remote=[redacted]`, "contents.txt": "gateway/log.jsonl",
	} {
		require.Contains(t, files[name], want, name)
	}
	require.Contains(t, files["database.json"], `"accounts_user"`)

	private := []string{password, sessions, jwtKey, service, header, cookie, strings.Repeat("f00d", 10), database, "192.0.2.77"}
	for _, people := range [][]school.Person{s.school.Admins, s.school.Teachers, s.school.Tutors, s.school.Students} {
		for _, p := range people {
			private = append(private, p.Email, p.FirstName+" "+p.LastName)
			if p.Token != "" {
				private = append(private, p.Token)
			}
		}
	}
	for name, text := range files {
		for _, secret := range private {
			for _, form := range inEveryForm(secret) {
				require.NotContains(t, text, form, name)
			}
		}
		require.NotRegexp(t, `"(user|remote)":"?[0-9]`, text, name)
	}

	// Nothing of an archive that is there is overwritten.
	code, said = schoolbell(t, "report", "--config", config, "--out", out)
	require.Equal(t, 1, code, said)
	require.Contains(t, said, "fix: name another file with --out")
	require.Zero(t, gateway.stop(10*time.Second))
}

func TestTheReportNotesWhatIsNotToBeHad(t *testing.T) {
	t.Parallel()
	dir, written := t.TempDir(), 0
	write := func(args ...string) map[string]string {
		out := filepath.Join(dir, fmt.Sprintf("%d.tar.gz", written))
		written++
		code, said := schoolbell(t, append([]string{"report", "--out", out}, args...)...)
		require.Zero(t, code, said)
		require.Contains(t, said, "and why others are missing (")
		return unpack(t, out)
	}
	nobody := freePort(t)
	files := write("--database", "postgres://bell:hunter2@"+nobody+"/lms", "--admin-listen", freePort(t), "--data", filepath.Join(dir, "none"), "--log", filepath.Join(dir, "nolog"))
	require.Contains(t, files["check.txt"], "is not running")
	for name, want := range map[string]string{
		"database.json": "server at " + nobody + " is not running", "gateway/metrics.txt": "no gateway answers at admin_listen", "data.txt": "no such file", "log.txt": "no such file",
	} {
		require.NotContains(t, files, name)
		require.Regexp(t, "(?m)^"+name+` +not to be had: .*`+want, files["contents.txt"])
	}
	require.Contains(t, files["config.txt"], "data: ")

	// A configuration with a mistake is what somebody needs help with.
	files = write("--queue", "none", "--admin-listen", freePort(t))
	require.Contains(t, files["contents.txt"], `--queue: queue is "none", want a whole number`)
	require.NotContains(t, files, "config.txt")

	// Another program at that address is not taken for a gateway that answers.
	other := listenOther(t)
	files = write("--database", "postgres://bell:hunter2@"+nobody+"/lms", "--admin-listen", other)
	require.Contains(t, files["contents.txt"], "is perhaps no schoolbell of this version")
	for _, text := range files {
		require.NotContains(t, text, "hunter2")
	}
}

// listenOther is where a program is that is no gateway.
func listenOther(t *testing.T) string {
	t.Helper()
	address := freePort(t)
	server := &http.Server{Addr: address, Handler: http.NotFoundHandler()}
	l, err := listen(address, "test")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() { _ = server.Serve(l); close(done) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return address
}
