package pgpx_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/pgpx"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// Payments go to the bank compressed, signed and encrypted, and its answers are taken only if the bank has signed them. In
// our storage files are plain, at the bank's never.
func Example() {
	ctx := context.Background()
	ourPublic, ourPrivate := makeKeys("us")
	bankPublic, bankPrivate := makeKeys("bank")
	_, otherPrivate := makeKeys("somebody else")
	seal, err := pgpx.Encrypt(pgpx.EncryptOptions{Recipients: []string{bankPublic}, Signer: ourPrivate})
	if err != nil {
		log.Fatal(err)
	}
	open, err := pgpx.Decrypt(pgpx.DecryptOptions{Keys: []string{ourPrivate}, Signers: []string{bankPublic}})
	if err != nil {
		log.Fatal(err)
	}
	storage, bank := transfer.NewMemory(), transfer.NewMemory()
	client, err := transfer.New(transfer.Config{
		Storage:    storage,
		Connectors: map[string]transfer.Connector{"bank": transfertest.NewConnector(bank, transfertest.ConnectorOptions{})},
		Rules: map[string]transfer.Rule{
			"payments": {TargetDirectory: "/in", Transforms: []transfer.Transform{transfer.Gzip(0), seal}},
			"answers":  {SourceDirectory: "/out", TargetDirectory: "answers", Transforms: []transfer.Transform{open}},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Shutdown(ctx) }()

	storage.WriteFile("payments.csv", []byte("DE02;100\n"))
	bank.WriteFile("/out/good.txt.pgp", answer("accepted", ourPublic, bankPrivate))
	bank.WriteFile("/out/forged.txt.pgp", answer("refused", ourPublic, otherPrivate))
	for _, in := range []transfer.StartFileTransferInput{
		{ConnectorID: "bank", RuleName: "payments", SendFilePaths: []string{"payments.csv"}},
		{ConnectorID: "bank", RuleName: "answers", RetrieveFilePaths: []string{"good.txt.pgp", "forged.txt.pgp"}},
	} {
		out, err := client.StartFileTransfer(ctx, &in)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := client.Wait(ctx, out.TransferID); err != nil {
			log.Fatal(err)
		}
	}
	rows, err := client.ListTransfers().All(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range rows {
		fmt.Println(r.TargetPath, r.StatusCode)
		if r.FailureCode != "" {
			fmt.Println("because of", r.FailureCode)
		}
	}
	good, err := storage.ReadFile("answers/good.txt")
	fmt.Printf("%s %v\n", good, err)
	// Output:
	// /in/payments.csv.gz.pgp COMPLETED
	// answers/good.txt COMPLETED
	// answers/forged.txt FAILED
	// because of READ_FILE_ERROR
	// accepted <nil>
}

// answer is what a partner encrypts to us and signs, with whatever program.
func answer(text, recipient, signer string) []byte {
	seal, err := pgpx.Encrypt(pgpx.EncryptOptions{Recipients: []string{recipient}, Signer: signer})
	if err != nil {
		log.Fatal(err)
	}
	r, err := seal.Reader(context.Background(), transfer.Content{Reader: strings.NewReader(text), Name: "answer", Size: -1})
	if err != nil {
		log.Fatal(err)
	}
	sealed, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		log.Fatal(err)
	}
	return sealed
}

// makeKeys makes armored keys, as gpg --export and --export-secret-keys do: one to give away, and one to keep.
func makeKeys(name string) (public, private string) {
	e, err := openpgp.NewEntity(name, "", name+"@example.com", nil)
	if err != nil {
		log.Fatal(err)
	}
	public = armorText(openpgp.PublicKeyType, e.Serialize)
	return public, armorText(openpgp.PrivateKeyType, func(w io.Writer) error { return e.SerializePrivateWithoutSigning(w, nil) })
}

func armorText(kind string, write func(io.Writer) error) string {
	var b bytes.Buffer
	w, err := armor.Encode(&b, kind, nil)
	if err == nil {
		err = errors.Join(write(w), w.Close())
	}
	if err != nil {
		log.Fatal(err)
	}
	return b.String()
}
