package awsapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
)

// decode reads a request's body into a wire type. Members that we do not know are passed over, as AWS does; an empty body
// is an empty request.
func decode(body []byte, in any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	err := json.Unmarshal(body, in)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		return malformed(fmt.Sprintf("%s_VALUE can not be converted to %s at '%s'", upper(wrong.Value), kindName(wrong.Type), shorten(wrong.Field)))
	}
	return malformed("The request is not valid JSON: " + shorten(err.Error()))
}

func malformed(message string) error {
	return failure{http.StatusBadRequest, "SerializationException", message}
}

// upper is the kind of a JSON value in AWS's messages; the decoder adds the value of numbers.
func upper(kind string) string {
	word, _, _ := bytes.Cut([]byte(kind), []byte(" "))
	return string(bytes.ToUpper(word))
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "String"
	case reflect.Int32:
		return "Integer"
	case reflect.Slice:
		return "List"
	}
	return "Structure"
}
