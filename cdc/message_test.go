package cdc_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
)

func TestAMessageIsReadAsItWasWritten(t *testing.T) {
	for _, test := range []struct {
		text   string
		user   cdc.ID
		kind   string
		fields string
	}{
		{`{"user":7,"type":"exam_moved","data":{"room":12}}`, cdc.IntID(7), "exam_moved", `,"room":12`},
		{`{"user":"7","type":"a"}`, cdc.IntID(7), "a", ""},
		{`{"user":"6b1c-x","type":"a.b-c_9","data":{}}`, cdc.TextID("6b1c-x"), "a.b-c_9", ""},
		{`{"group":"dashboard_metrics","type":"a","data":{ }}`, cdc.ID{}, "a", ""},
		{`{"group":"dashboard_user_31","type":"a"}`, cdc.IntID(31), "a", ""},
		{` { "data" : { "n" : 1.0e400 , "big":12345678901234567890, "s":"\ud83d\ude00 ` + "\u2028" + `", "l":[ {"x":null} ,[true]] } , "type" : "a", "user" : 9007199254740993 } `,
			cdc.IntID(9007199254740993), "a", `,"n":1.0e400,"big":12345678901234567890,"s":"\ud83d\ude00 ` + "\u2028" + `","l":[{"x":null},[true]]`},
		{`{"user":7,"type":"a","data":{"deep":` + strings.Repeat("[", 30) + strings.Repeat("]", 30) + `,"e":"a\"b\\","f":"\\ud800"}}`,
			cdc.IntID(7), "a", `,"deep":` + strings.Repeat("[", 30) + strings.Repeat("]", 30) + `,"e":"a\"b\\","f":"\\ud800"`},
	} {
		m, err := cdc.ParseMessage([]byte(test.text))
		require.NoError(t, err, test.text)
		require.Equal(t, test.user, m.User, test.text)
		require.Equal(t, test.kind, m.Type)
		require.Equal(t, test.fields, string(m.Fields))
	}
}

func TestAMessageIsForOnePersonOrForTheAdmins(t *testing.T) {
	require.Equal(t, cdc.Audience{People: []cdc.ID{cdc.IntID(7)}}, cdc.Message{User: cdc.IntID(7)}.Audience())
	require.Equal(t, cdc.Audience{Admins: true}, cdc.Message{}.Audience())
}

func TestAMessageThatReadersCouldTakeInDifferentWaysIsRefused(t *testing.T) {
	secret := "Zq9secret"
	for problem, texts := range map[string][]string{
		"the message is no JSON": {
			"", " ", "{", `{"user":7,}`, `{"user":7}x`, "\ufeff{}", `{"user":07,"type":"a"}`, `{"user":NaN}`, `{"a":"` + secret + "\n" + `"}`,
		},
		"the message is no UTF-8":  {"{\"user\":\"" + secret + "\xff\",\"type\":\"a\"}", "\xff", "{\"user\":7,\"type\":\"a\",\"data\":{\"s\":\"\xed\xa0\x80\"}}"},
		"the message is no object": {"[]", "7", `"` + secret + `"`, "null", "true"},
		"the message has a field that nobody knows": {
			`{"user":7,"type":"a","` + secret + `":1}`, `{"User":7,"type":"a"}`, `{"user":7,"type":"a","Data":{}}`,
		},
		"the message does not say whom it is for": {`{"type":"a"}`, `{"user":7,"group":"dashboard_metrics","type":"a"}`, `{}`},
		"the message has no type":                 {`{"user":7}`, `{"user":7,"data":{"a":"` + secret + `"}}`},
		"user is no key of a person": {
			`{"user":null,"type":"a"}`, `{"user":7.0,"type":"a"}`, `{"user":1e3,"type":"a"}`, `{"user":-0,"type":"a"}`, `{"user":"","type":"a"}`,
			`{"user":[7],"type":"a"}`, `{"user":{},"type":"a"}`, `{"user":true,"type":"a"}`, `{"user":99999999999999999999,"type":"a"}`,
		},
		"group is none that there is": {
			`{"group":"` + secret + `","type":"a"}`, `{"group":7,"type":"a"}`, `{"group":"dashboard_user_","type":"a"}`, `{"group":"Dashboard_metrics","type":"a"}`,
		},
		"type is none that a message may have": {
			`{"user":7,"type":""}`, `{"user":7,"type":7}`, `{"user":7,"type":null}`, `{"user":7,"type":"Exam"}`, `{"user":7,"type":"a b"}`,
			`{"user":7,"type":"` + strings.Repeat("a", 65) + `"}`, `{"user":7,"type":"é"}`, `{"user":7,"type":"a\"b"}`, `{"user":7,"type":"a\u0000"}`,
		},
		"type is one of the protocol's own": {
			`{"user":7,"type":"welcome"}`, `{"user":7,"type":"submission"}`, `{"user":7,"type":"grade"}`, `{"user":7,"type":"assignment"}`,
			`{"user":7,"type":"assignment_closed"}`, `{"user":7,"type":"metrics"}`, `{"user":7,"type":"ping"}`, `{"user":7,"type":"pong"}`,
			`{"user":7,"type":"gap"}`, `{"user":7,"type":"disconnect"}`, `{"user":7,"type":"auth"}`, `{"user":7,"type":"pin\u0067"}`,
		},
		"data is no object": {`{"user":7,"type":"a","data":[]}`, `{"user":7,"type":"a","data":null}`, `{"user":7,"type":"a","data":"` + secret + `"}`},
		"data has a field of the protocol's own": {
			`{"user":7,"type":"a","data":{"type":1}}`, `{"user":7,"type":"a","data":{"id":1}}`, `{"user":7,"type":"a","data":{"timestamp":1}}`,
			`{"user":7,"type":"a","data":{"cursor":1}}`, `{"user":7,"type":"a","data":{"recovered":1}}`, `{"user":7,"type":"a","data":{"\u0069d":1}}`,
		},
		"an object of the message has a field twice": {
			`{"user":7,"user":7,"type":"a"}`, `{"user":7,"type":"a","data":{"a":1,"\u0061":2}}`, `{"user":7,"type":"a","data":{"l":[{"` + secret + `":1,"` + secret + `":1}]}}`,
		},
		"a string of the message has half of a character": {
			`{"user":7,"type":"a","data":{"s":"\ud800"}}`, `{"user":7,"type":"a","data":{"s":"\uDC00"}}`, `{"user":7,"type":"a","data":{"s":"\ud800\u0041"}}`,
			`{"user":7,"type":"a","data":{"\udfff":1}}`, `{"user":7,"type":"a","data":{"s":"\ud800x"}}`, `{"user":7,"type":"a","data":{"s":"\ud83d\ude00\ude00"}}`,
		},
		"the message goes too deep": {
			`{"user":7,"type":"a","data":{"l":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}}`,
			`{"user":7,"type":"a","data":` + strings.Repeat(`{"a":`, 32) + "1" + strings.Repeat("}", 32) + `}`,
			`{"user":7,"type":"a","data":{"l":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}}`,
		},
		"the message is too large": {`{"user":7,"type":"a","data":{"s":"` + strings.Repeat("x", cdc.MessageSize) + `"}}`},
	} {
		for _, text := range texts {
			_, err := cdc.ParseMessage([]byte(text))
			require.ErrorContains(t, err, problem+"; fix: ", text)
			require.NotContains(t, err.Error(), secret, "what was published may be anybody's")
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	for _, text := range []string{
		`{"user":7,"type":"exam_moved","data":{"room":12,"who":["a",{"b":null}],"s":"\ud83d\ude00\n\u00e9"}}`,
		`{"group":"dashboard_metrics","type":"a.b-c_9"}`, ` { "data" : { } , "group" : "dashboard_user_9" , "type" : "x" } `,
		`{"user":"\ud800","type":"a"}`, `{"user":7,"type":"a","data":{"a":1,"\u0061":2}}`, `[`, `{"a":-0.1e+9}`, `"\u`, `{"user":7,"type":"a","data":[[]]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := cdc.ParseMessage(text)
		if err != nil {
			return
		}
		require.True(t, m.User.IsZero() == m.Audience().Admins)
		whole := append(append([]byte(`{"type":"`+m.Type+`","id":"0/1.1"`), m.Fields...), `,"timestamp":"2026-11-22T21:05:11.123456Z"}`...)
		require.True(t, utf8.Valid(whole))
		var got struct {
			Type string
			ID   string
		}
		var fields map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(whole, &fields), string(whole))
		require.NoError(t, json.Unmarshal(fields["type"], &got.Type))
		require.NoError(t, json.Unmarshal(fields["id"], &got.ID))
		require.Equal(t, m.Type, got.Type)
		require.Equal(t, "0/1.1", got.ID, "what was published may not speak for the gateway")
		var published struct{ Data map[string]json.RawMessage }
		require.NoError(t, json.Unmarshal(text, &published))
		require.Len(t, fields, 3+len(published.Data))
	})
}
