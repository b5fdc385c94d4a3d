package auth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Preset is how to ask an LMS that is known, at its own address: "moodle" or "canvas".
// cookie is the name of the cookie to show instead of a token, "" for none.
func Preset(name, address, cookie string) (IntrospectionConfig, error) {
	base := strings.TrimRight(address, "/")
	switch name {
	case "moodle":
		if cookie != "" {
			return IntrospectionConfig{}, errMoodleCookie
		}
		return moodle(base), nil
	case "canvas":
		return canvas(base, cookie), nil
	}
	return IntrospectionConfig{}, fmt.Errorf("introspect_preset is %q, want moodle or canvas", name)
}

// errMoodleCookie says why Moodle's cookie is not enough: the functions that tell whose a
// session is want its sesskey, too, which only Moodle's pages hold. To read a page for
// it would keep the session alive for ever.
// https://github.com/moodle/moodle/blob/main/lib/external/classes/external_api.php (call_external_function)
var errMoodleCookie = errors.New("nothing that can be asked of Moodle tells whose a session cookie is; fix: leave introspect_cookie out, and " +
	"let people sign in with a web service token")

// moodle asks by the function that every client of Moodle's web services begins with.
// The token goes into the body, as addresses are logged. A mistake comes with status 200:
//
//	{"exception":"moodle_exception","errorcode":"invalidtoken","message":"Invalid token - token not found"}
//
// accessexception means that the token has expired or is bound to another address, that
// the account is deleted, suspended or may not sign in, or that the token's service does
// not have the function. Whatever else goes wrong (sitemaintenance, say) tells nothing of
// the token.
//
//   - https://docs.moodle.org/dev/Creating_a_web_service_client
//   - https://github.com/moodle/moodle/blob/main/webservice/lib.php (authenticate_user, authenticate_by_token)
//   - https://github.com/moodle/moodle/blob/main/webservice/externallib.php (get_site_info)
func moodle(base string) IntrospectionConfig {
	return IntrospectionConfig{
		URL: base + "/webservice/rest/server.php", Method: http.MethodPost,
		Body:  "wstoken=" + placeholder + "&wsfunction=core_webservice_get_site_info&moodlewsrestformat=json",
		User:  "/userid",
		Code:  "/errorcode",
		Codes: []string{"invalidtoken", "accessexception", "wsaccessuserunconfirmed"},
	}
}

// canvas asks who the token's own user is. 401 says that a token is not valid; 403 says
// that there were too many questions, which tells nothing of it. Ids have up to 17
// digits, and come as text where that is asked for.
//
//   - https://github.com/instructure/canvas-lms/blob/master/app/controllers/users_controller.rb (users/self)
//   - https://github.com/instructure/canvas-lms/blob/master/doc/api/oauth.md (401)
//   - https://github.com/instructure/canvas-lms/blob/master/doc/api/throttling.md (403)
//   - https://github.com/instructure/canvas-lms/blob/master/doc/api/README.md (ids as text)
//   - https://github.com/instructure/canvas-lms/blob/master/lib/authentication_methods.rb (the session's cookie, and logout)
func canvas(base, cookie string) IntrospectionConfig {
	return IntrospectionConfig{
		URL:      base + "/api/v1/users/self",
		Headers:  []string{"Accept: application/json+canvas-string-ids, application/json"},
		Cookie:   cookie,
		User:     "/id",
		Refusals: []int{http.StatusUnauthorized},
	}
}
