package transfer

import "github.com/seed62b9dc43/transfer/store"

// ObservedStore is the Store of a Client with an Observer.
func ObservedStore(s store.Store, by Observer) store.Store { return observedStore{s, by} }
