package transfer

// Observer is told of what a node does.
type Observer interface{}
