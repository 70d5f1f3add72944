package awsapi

import (
	"context"

	"github.com/seed62b9dc43/transfer"
)

type startDirectoryListingRequest struct {
	ConnectorID         *string `json:"ConnectorId" shape:"ConnectorId,required"`
	RemoteDirectoryPath *string `json:"RemoteDirectoryPath" shape:"FilePath,required"`
	OutputDirectoryPath *string `json:"OutputDirectoryPath" shape:"FilePath,required"`
	MaxItems            *int32  `json:"MaxItems" shape:"MaxItems"`
}

type startDirectoryListingResponse struct {
	ListingID      string `json:"ListingId"`
	OutputFileName string `json:"OutputFileName"`
}

func (h *handler) startDirectoryListing(ctx context.Context, in *startDirectoryListingRequest) (*startDirectoryListingResponse, error) {
	out, err := h.client.StartDirectoryListing(ctx, &transfer.StartDirectoryListingInput{
		ConnectorID:         value(in.ConnectorID),
		RemoteDirectoryPath: value(in.RemoteDirectoryPath),
		OutputDirectoryPath: value(in.OutputDirectoryPath),
		MaxItems:            value(in.MaxItems),
	})
	if err != nil {
		return nil, err
	}
	return &startDirectoryListingResponse{ListingID: out.ListingID, OutputFileName: out.OutputFileName}, nil
}

type startRemoteDeleteRequest struct {
	ConnectorID *string `json:"ConnectorId" shape:"ConnectorId,required"`
	DeletePath  *string `json:"DeletePath" shape:"FilePath,required"`
}

type startRemoteDeleteResponse struct {
	DeleteID string `json:"DeleteId"`
}

func (h *handler) startRemoteDelete(ctx context.Context, in *startRemoteDeleteRequest) (*startRemoteDeleteResponse, error) {
	out, err := h.client.StartRemoteDelete(ctx, &transfer.StartRemoteDeleteInput{
		ConnectorID: value(in.ConnectorID),
		DeletePath:  value(in.DeletePath),
	})
	if err != nil {
		return nil, err
	}
	return &startRemoteDeleteResponse{out.DeleteID}, nil
}

type startRemoteMoveRequest struct {
	ConnectorID *string `json:"ConnectorId" shape:"ConnectorId,required"`
	SourcePath  *string `json:"SourcePath" shape:"FilePath,required"`
	TargetPath  *string `json:"TargetPath" shape:"FilePath,required"`
}

type startRemoteMoveResponse struct {
	MoveID string `json:"MoveId"`
}

func (h *handler) startRemoteMove(ctx context.Context, in *startRemoteMoveRequest) (*startRemoteMoveResponse, error) {
	out, err := h.client.StartRemoteMove(ctx, &transfer.StartRemoteMoveInput{
		ConnectorID: value(in.ConnectorID),
		SourcePath:  value(in.SourcePath),
		TargetPath:  value(in.TargetPath),
	})
	if err != nil {
		return nil, err
	}
	return &startRemoteMoveResponse{out.MoveID}, nil
}
