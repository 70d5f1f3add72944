package transfer

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed62b9dc43/transfer/store"
)

// CreateConnector stores the definition of a new connector, for all Clients over this Store, and returns its id. A started
// Client works with it from then on, others soon: after Config.PollInterval at most.
//
// Errors: InvalidRequestException with every wrong field, ServiceUnavailableException when the Store failed; after that
// the connector may be there.
func (c *Client) CreateConnector(ctx context.Context, in *CreateConnectorInput) (*CreateConnectorOutput, error) {
	if in == nil {
		in = &CreateConnectorInput{}
	}
	d := ConnectorDefinition(*in)
	if _, err := c.cfg.checkDefinition(&d); err != nil {
		return nil, err
	}
	text, err := encodeDefinition(&d)
	if err != nil {
		return nil, err
	}
	id := newConnectorID()
	if err := c.auditConnector(ctx, AuditCreateConnector, id, &d); err != nil {
		return nil, err
	}
	created, err := c.cfg.Store.CreateConnector(ctx, store.Connector{ID: id, URL: d.URL, Definition: text})
	if err != nil {
		return nil, storeFailure("create connector", err)
	}
	c.catchUp(ctx)
	c.cfg.Logger.Info("connector created", "connector", created.ID, "url", created.URL, "revision", created.Revision)
	return &CreateConnectorOutput{ConnectorID: created.ID}, nil
}

// catchUp lets a Client that moves files know of a change at once.
func (c *Client) catchUp(ctx context.Context) {
	if _, err := c.runningOperations(); err == nil {
		c.engine.catchUp(ctx)
	}
}

// newConnectorID returns an id as AWS's are: "c-" and 17 hexadecimal digits.
func newConnectorID() string {
	var random [9]byte
	_, _ = rand.Read(random[:]) // never fails since Go 1.24
	return "c-" + hex.EncodeToString(random[:])[:17]
}

func encodeDefinition(d *ConnectorDefinition) ([]byte, error) {
	if d.Retry != nil && *d.Retry == (RetryPolicy{}) {
		d.Retry = nil
	}
	if d.Limits.isZero() {
		d.Limits = nil
	}
	text, err := json.Marshal(d)
	if err != nil {
		return nil, &InternalServiceError{Message: "encode definition: " + err.Error(), Err: err}
	}
	return text, nil
}

func decodeDefinition(c *store.Connector) (d ConnectorDefinition, err error) {
	if err := json.Unmarshal(c.Definition, &d); err != nil {
		return d, fmt.Errorf("decode definition of connector %s: %w", c.ID, err)
	}
	return d, nil
}

// updateAttempts is how often an update begins anew because somebody else changed the connector meanwhile.
const updateAttempts = 10

// UpdateConnector changes the definition of a connector that was created. Every Client that moves files works with the new
// one soon: files that are under way end as they began, and then their connections are closed.
//
// Errors: InvalidRequestException with every wrong field, also for one of Config.Connectors, which are changed there;
// ResourceNotFoundException; ServiceUnavailableException when the Store failed, or when the connector is changed all the
// time.
func (c *Client) UpdateConnector(ctx context.Context, in *UpdateConnectorInput) (*UpdateConnectorOutput, error) {
	if in == nil {
		in = &UpdateConnectorInput{}
	}
	if err := c.refuseConfigured(in.ConnectorID); err != nil {
		return nil, err
	}
	for attempt := range updateAttempts {
		known, err := c.changed(ctx, in)
		if err != nil {
			return nil, err
		}
		if attempt == 0 { // not before it was checked: a password may stand in the wrong place
			if err := c.auditConnector(ctx, AuditUpdateConnector, in.ConnectorID, in); err != nil {
				return nil, err
			}
		}
		updated, err := c.cfg.Store.UpdateConnector(ctx, known)
		switch {
		case errors.Is(err, store.ErrRevision):
			continue
		case errors.Is(err, store.ErrNotFound):
			return nil, unknownConnector(in.ConnectorID)
		case err != nil:
			return nil, storeFailure("update connector "+in.ConnectorID, err)
		}
		c.catchUp(ctx)
		c.cfg.Logger.Info("connector updated", "connector", updated.ID, "url", updated.URL, "revision", updated.Revision)
		return &UpdateConnectorOutput{ConnectorID: updated.ID}, nil
	}
	return nil, &ServiceUnavailableException{Message: fmt.Sprintf("connector %q is changed by others all the time", in.ConnectorID)}
}

// changed returns the connector as in asks for it.
func (c *Client) changed(ctx context.Context, in *UpdateConnectorInput) (store.Connector, error) {
	known, d, err := c.definition(ctx, in.ConnectorID)
	if err != nil {
		return known, err
	}
	d.change(in)
	if _, err := c.cfg.checkDefinition(&d); err != nil {
		return known, err
	}
	known.URL = d.URL
	known.Definition, err = encodeDefinition(&d)
	return known, err
}

// change makes d what in asks for.
func (d *ConnectorDefinition) change(in *UpdateConnectorInput) {
	d.URL = cmp.Or(in.URL, d.URL)
	if in.ProtocolConfig != nil {
		d.ProtocolConfig = in.ProtocolConfig
	}
	if in.Tags != nil {
		d.Tags = in.Tags
	}
	if in.Retry != nil {
		d.Retry = in.Retry
	}
	if in.Limits != nil {
		d.Limits = in.Limits
	}
	for _, f := range []struct{ field, value *string }{
		{&d.AccessRole, in.AccessRole}, {&d.LoggingRole, in.LoggingRole}, {&d.SecurityPolicyName, in.SecurityPolicyName},
		{&d.Partner, in.Partner}, {&d.Description, in.Description},
	} {
		if f.value != nil {
			*f.field = *f.value
		}
	}
	if in.SftpConfig == nil {
		return
	}
	if d.SftpConfig == nil {
		d.SftpConfig = &SftpConnectorConfig{}
	}
	d.SftpConfig.change(in.SftpConfig)
}

func (s *SftpConnectorConfig) change(in *SftpConnectorConfig) {
	s.UserSecretID = cmp.Or(in.UserSecretID, s.UserSecretID)
	s.MaxConcurrentConnections = cmp.Or(in.MaxConcurrentConnections, s.MaxConcurrentConnections)
	if in.TrustedHostKeys != nil {
		s.TrustedHostKeys = in.TrustedHostKeys
	}
	if in.Profile != nil {
		s.Profile = in.Profile
	}
}

// refuseConfigured refuses to change a connector that is not in the Store.
func (c *Client) refuseConfigured(id string) error {
	if _, ok := c.cfg.Connectors[id]; ok {
		return invalid(InvalidField{"ConnectorID", id, "is one of Config.Connectors (change it there)"})
	}
	var p problems
	p.text("ConnectorID", id, 1, maxNameLength)
	return p.err()
}

// definition reads a connector that was created.
func (c *Client) definition(ctx context.Context, id string) (store.Connector, ConnectorDefinition, error) {
	known, err := c.cfg.Store.GetConnector(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return known, ConnectorDefinition{}, unknownConnector(id)
	}
	if err != nil {
		return known, ConnectorDefinition{}, storeFailure("get connector "+id, err)
	}
	d, err := decodeDefinition(&known)
	if err != nil {
		return known, d, &InternalServiceError{Message: err.Error(), Err: err}
	}
	return known, d, nil
}

func unknownConnector(id string) error {
	return &ResourceNotFoundException{
		Message: fmt.Sprintf("connector %q is not known", id), Resource: id, ResourceType: "Connector",
	}
}

// DeleteConnector deletes a connector that was created, at once, as AWS does. From then on nothing can be started for it.
// Files that are just under way are finished; those that are queued, and those that fail and would be tried again, FAIL
// with CONNECTION_ERROR, detail CONNECTOR_DELETED, when a Client with Config.Protocols takes them up, which is soon; paused ones
// when they are resumed. A file whose node died under way may be with the partner all the same. Nothing is removed at their sources. What files that failed before had left behind at the partner stays there.
// The id is not used again, and results stay readable.
//
// Errors: ResourceNotFoundException, also for one that is deleted already; InvalidRequestException for one of
// Config.Connectors; ServiceUnavailableException when the Store failed.
func (c *Client) DeleteConnector(ctx context.Context, in *DeleteConnectorInput) (*DeleteConnectorOutput, error) {
	if in == nil {
		in = &DeleteConnectorInput{}
	}
	if err := c.refuseConfigured(in.ConnectorID); err != nil {
		return nil, err
	}
	if err := c.auditConnector(ctx, AuditDeleteConnector, in.ConnectorID, nil); err != nil {
		return nil, err
	}
	err := c.cfg.Store.DeleteConnector(ctx, in.ConnectorID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, unknownConnector(in.ConnectorID)
	case err != nil:
		return nil, storeFailure("delete connector "+in.ConnectorID, err)
	}
	c.catchUp(ctx)
	c.cfg.Logger.Info("connector deleted", "connector", in.ConnectorID)
	return &DeleteConnectorOutput{}, nil
}

// ListConnectors returns the connectors that were created and those of Config.Connectors, a page at a time.
//
// Errors: InvalidRequestException, InvalidNextTokenException, ServiceUnavailableException when the Store failed.
func (c *Client) ListConnectors(ctx context.Context, in *ListConnectorsInput) (*ListConnectorsOutput, error) {
	if in == nil {
		in = &ListConnectorsInput{}
	}
	var p problems
	if in.MaxResults < 0 || in.MaxResults > maxResults {
		p.add("MaxResults", fmt.Sprint(in.MaxResults), "is out of range (use 1 to %d, or 0 for %d)", maxResults, defaultMaxResults)
		return nil, p.err()
	}
	after, err := parseListToken(in.NextToken)
	if err != nil {
		return nil, err
	}
	limit := int(in.MaxResults)
	fill(&limit, defaultMaxResults)
	stored, err := c.cfg.Store.ListConnectors(ctx, store.ConnectorQuery{After: after, Limit: limit + 1})
	if err != nil {
		return nil, storeFailure("list connectors", err)
	}
	out := &ListConnectorsOutput{Connectors: c.mergeConfigured(stored, after)}
	if len(out.Connectors) > limit {
		out.Connectors = out.Connectors[:limit]
		out.NextToken = newListToken(out.Connectors[limit-1].ConnectorID)
	}
	return out, nil
}

// mergeConfigured returns the connectors of a page together with those of Config behind after, in their order. A connector
// of Config hides one of the Store.
func (c *Client) mergeConfigured(stored []store.Connector, after string) []ListedConnector {
	list := make([]ListedConnector, 0, len(stored)+len(c.cfg.Connectors))
	for _, s := range stored {
		if _, hidden := c.cfg.Connectors[s.ID]; !hidden {
			list = append(list, ListedConnector{s.ID, s.URL})
		}
	}
	for _, id := range slices.Collect(maps.Keys(c.cfg.Connectors)) {
		if id > after {
			list = append(list, ListedConnector{id, c.cfg.Connectors[id].Info().URL})
		}
	}
	slices.SortFunc(list, func(a, b ListedConnector) int { return cmp.Compare(a.ConnectorID, b.ConnectorID) })
	return list
}

// listTokenPrefix tells tokens of this list from others.
const listTokenPrefix = "connectors\x00"

func newListToken(after string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(listTokenPrefix + after))
}

func parseListToken(token string) (after string, err error) {
	if token == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	after, ok := strings.CutPrefix(string(raw), listTokenPrefix)
	if err != nil || !ok || len(token) > maxNextToken || !validText(after, 1, maxNameLength) {
		return "", &InvalidNextTokenException{Message: "NextToken is not a token of this list (use the one of the page before)"}
	}
	return after, nil
}
