package awsapi

import (
	"context"

	"github.com/seed62b9dc43/transfer"
)

type startFileTransferRequest struct {
	ConnectorID         *string      `json:"ConnectorId" shape:"ConnectorId,required"`
	SendFilePaths       []string     `json:"SendFilePaths" shape:"FilePaths"`
	RetrieveFilePaths   []string     `json:"RetrieveFilePaths" shape:"FilePaths"`
	LocalDirectoryPath  *string      `json:"LocalDirectoryPath" shape:"FilePath"`
	RemoteDirectoryPath *string      `json:"RemoteDirectoryPath" shape:"FilePath"`
	CustomHTTPHeaders   []httpHeader `json:"CustomHttpHeaders" shape:"CustomHttpHeaders"`
}

type httpHeader struct {
	Key   *string `json:"Key" shape:"CustomHttpHeaderKey,required"`
	Value *string `json:"Value" shape:"CustomHttpHeaderVal"`
}

type startFileTransferResponse struct {
	TransferID string `json:"TransferId"`
}

func (h *handler) startFileTransfer(ctx context.Context, in *startFileTransferRequest) (*startFileTransferResponse, error) {
	out, err := h.startOnce(ctx, &transfer.StartFileTransferInput{
		ConnectorID:         value(in.ConnectorID),
		SendFilePaths:       in.SendFilePaths,
		RetrieveFilePaths:   in.RetrieveFilePaths,
		LocalDirectoryPath:  value(in.LocalDirectoryPath),
		RemoteDirectoryPath: value(in.RemoteDirectoryPath),
		CustomHTTPHeaders:   customHeaders(in.CustomHTTPHeaders),
	})
	if err != nil {
		return nil, err
	}
	return &startFileTransferResponse{out.TransferID}, nil
}

func customHeaders(given []httpHeader) []transfer.CustomHTTPHeader {
	headers := make([]transfer.CustomHTTPHeader, len(given))
	for i, h := range given {
		headers[i] = transfer.CustomHTTPHeader{Key: value(h.Key), Value: value(h.Value)}
	}
	return headers
}

type listFileTransferResultsRequest struct {
	ConnectorID *string `json:"ConnectorId" shape:"ConnectorId,required"`
	TransferID  *string `json:"TransferId" shape:"TransferId,required"`
	NextToken   *string `json:"NextToken" shape:"NextToken"`
	MaxResults  *int32  `json:"MaxResults" shape:"MaxResults"`
}

type listFileTransferResultsResponse struct {
	FileTransferResults []fileResult `json:"FileTransferResults"`
	NextToken           string       `json:"NextToken,omitempty"`
}

// fileResult has AWS's members only: what else the engine knows would be lost on AWS's SDKs.
type fileResult struct {
	FilePath       string `json:"FilePath"`
	StatusCode     string `json:"StatusCode"`
	FailureCode    string `json:"FailureCode,omitempty"`
	FailureMessage string `json:"FailureMessage,omitempty"`
}

func (h *handler) listFileTransferResults(ctx context.Context, in *listFileTransferResultsRequest) (*listFileTransferResultsResponse, error) {
	page, err := h.client.ListFileTransferResults(ctx, &transfer.ListFileTransferResultsInput{
		ConnectorID: value(in.ConnectorID),
		TransferID:  value(in.TransferID),
		NextToken:   value(in.NextToken),
		MaxResults:  value(in.MaxResults),
	})
	if err != nil {
		return nil, err
	}
	out := &listFileTransferResultsResponse{
		FileTransferResults: make([]fileResult, len(page.FileTransferResults)),
		NextToken:           page.NextToken,
	}
	for i, r := range page.FileTransferResults {
		out.FileTransferResults[i] = newFileResult(&r)
	}
	return out, nil
}

// newFileResult reports a failure of files that have FAILED only, as AWS does: what the last attempt of a file that is
// IN_PROGRESS failed with is no failure of the file.
func newFileResult(r *transfer.ConnectorFileTransferResult) fileResult {
	f := fileResult{FilePath: r.FilePath, StatusCode: string(r.StatusCode)}
	if r.StatusCode == transfer.TransferTableStatusFailed {
		f.FailureCode, f.FailureMessage = string(r.FailureCode), r.FailureMessage
	}
	return f
}
