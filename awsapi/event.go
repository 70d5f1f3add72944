package awsapi

func connectorARN(region, accountID, connectorID string) string {
	return "arn:aws:transfer:" + region + ":" + accountID + ":connector/" + connectorID
}
