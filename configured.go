package transfer

// Rule returns the rule of Config.Rules with this name, and whether there is one.
func (c *Client) Rule(name string) (Rule, bool) {
	r, ok := c.cfg.Rules[name]
	return r, ok
}

// MaxPaths returns how many paths one StartFileTransfer may name: Config.MaxPaths or its default, -1 for no limit.
func (c *Client) MaxPaths() int { return c.cfg.MaxPaths }
