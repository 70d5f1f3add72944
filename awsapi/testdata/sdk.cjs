// What a program does with AWS's JavaScript SDK: create a connector, send files, look at the results, meet exceptions.
// The endpoint and the credentials are in the environment, as usual; what happened goes to stdout as one JSON object.
"use strict";

const aws = require("@aws-sdk/client-transfer");

const client = new aws.TransferClient({ maxAttempts: 1 }); // AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, …

async function create() {
  const { ConnectorId } = await client.send(new aws.CreateConnectorCommand({
    AccessRole: "arn:aws:iam::123456789012:role/transfer",
    Url: process.env.PARTNER_URL,
    SftpConfig: { UserSecretId: "acme", TrustedHostKeys: [], MaxConcurrentConnections: 2 },
    Tags: [{ Key: "team", Value: "edi" }],
  }));
  return ConnectorId;
}

async function results(ConnectorId, TransferId) {
  const list = [];
  for await (const page of aws.paginateListFileTransferResults({ client, pageSize: 2 }, { ConnectorId, TransferId })) {
    list.push(...page.FileTransferResults);
  }
  return list;
}

async function finished(ConnectorId, TransferId) {
  for (let i = 0; i < 1000; i++) {
    const list = await results(ConnectorId, TransferId);
    if (list.every((r) => r.StatusCode === "COMPLETED" || r.StatusCode === "FAILED")) {
      return list;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("the transfer does not end");
}

async function refusal(command, sender = client) {
  try {
    await sender.send(command);
  } catch (e) {
    return { name: e.name, message: e.message, status: e.$metadata.httpStatusCode, resource: e.Resource, fault: e.$fault, modelled: e instanceof aws.TransferServiceException };
  }
  throw new Error("not refused");
}

async function main() {
  const ConnectorId = await create();
  const untrusted = await client.send(new aws.TestConnectionCommand({ ConnectorId }));
  const { HostKey } = untrusted.SftpConnectionDetails; // whose fingerprint the partner confirms by telephone
  await client.send(new aws.UpdateConnectorCommand({ ConnectorId, SftpConfig: { TrustedHostKeys: [HostKey] } }));
  const tested = await client.send(new aws.TestConnectionCommand({ ConnectorId }));
  const { Connector } = await client.send(new aws.DescribeConnectorCommand({ ConnectorId }));
  const { TransferId } = await client.send(new aws.StartFileTransferCommand({
    ConnectorId, SendFilePaths: ["/bucket/a.csv", "/bucket/b.csv", "/bucket/none.csv"], RemoteDirectoryPath: "/in",
  }));
  const files = await finished(ConnectorId, TransferId);
  const invalid = await refusal(new aws.StartFileTransferCommand({ ConnectorId, SendFilePaths: [] }));
  await client.send(new aws.DeleteConnectorCommand({ ConnectorId }));
  const missing = await refusal(new aws.DescribeConnectorCommand({ ConnectorId }));
  const guessing = new aws.TransferClient({ maxAttempts: 1, credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: "guess" } });
  const thief = await refusal(new aws.ListConnectorsCommand({}), guessing);
  console.log(JSON.stringify({ ConnectorId, Connector, untrusted, tested, TransferId, files, invalid, missing, thief }));
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
