package awsapi

import (
	"encoding/hex"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPublishedVectors: the example of a signing key in AWS's documentation, and "post-vanilla" of AWS's test suite for
// Signature Version 4.
func TestPublishedVectors(t *testing.T) {
	t.Parallel()
	const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	require.Equal(t, "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9", hex.EncodeToString(signingKey(secret, "20150830", "us-east-1", "iam")))

	r := httptest.NewRequest("POST", "http://example.amazonaws.com/", nil)
	r.Header.Set("X-Amz-Date", "20150830T123600Z")
	canonical := canonicalRequest(r, []string{"host", "x-amz-date"}, hexSum(""))
	require.Equal(t, "553f88c9e4d10fc9e109e2aeb65f030801b70c2f6468faca261d401ae622fc87", hexSum(canonical))
	text := "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/service/aws4_request\n" + hexSum(canonical)
	require.Equal(t, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", hex.EncodeToString(hmacSum(signingKey(secret, "20150830", "us-east-1", "service"), text)))
}
