package transfer

import "context"

// StartDirectoryListing lists a directory of the partner, one level deep, into a file in our storage.
func (c *Client) StartDirectoryListing(ctx context.Context, in *StartDirectoryListingInput) (*StartDirectoryListingOutput, error) {
	return nil, &ServiceUnavailableException{Message: "follows in the next commit"}
}

// StartRemoteDelete removes a file, or an empty directory, of the partner.
func (c *Client) StartRemoteDelete(ctx context.Context, in *StartRemoteDeleteInput) (*StartRemoteDeleteOutput, error) {
	return nil, &ServiceUnavailableException{Message: "follows in the next commit"}
}

// StartRemoteMove renames a file or a directory of the partner.
func (c *Client) StartRemoteMove(ctx context.Context, in *StartRemoteMoveInput) (*StartRemoteMoveOutput, error) {
	return nil, &ServiceUnavailableException{Message: "follows in the next commit"}
}

// DescribeRemoteOperation tells how a listing, a removal or a move goes.
func (c *Client) DescribeRemoteOperation(ctx context.Context, in *DescribeRemoteOperationInput) (*DescribeRemoteOperationOutput, error) {
	return nil, &ServiceUnavailableException{Message: "follows in the next commit"}
}
