package transfer

import "github.com/seed62b9dc43/transfer/store"

// Rule returns the rule of Config.Rules with this name, and whether there is one.
func (c *Client) Rule(name string) (Rule, bool) {
	r, ok := c.cfg.Rules[name]
	return r, ok
}

// MaxPaths returns how many paths one StartFileTransfer may name: Config.MaxPaths or its default, -1 for no limit.
func (c *Client) MaxPaths() int { return c.cfg.MaxPaths }

// Store returns Config.Store, or the default one: for packages that keep something of their own there, such as watch.
func (c *Client) Store() store.Store {
	if s, ok := c.cfg.Store.(observedStore); ok {
		return s.Store
	}
	return c.cfg.Store
}
