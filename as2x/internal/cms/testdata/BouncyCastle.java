// Makes and opens CMS with Bouncy Castle, for the tests of this package. Each line of the input is one order: words with
// tabs between them, the first the verb, the others name=value. Each is answered by one line: "ok", or "error" and why.

import java.io.*;
import java.nio.file.*;
import java.security.*;
import java.security.cert.*;
import java.security.spec.*;
import java.util.*;
import javax.crypto.spec.*;
import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cert.jcajce.*;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.*;
import org.bouncycastle.operator.jcajce.*;

public class BouncyCastle {
	private final Map<String, String> order = new HashMap<>();

	public static void main(String[] args) throws Exception {
		Security.addProvider(new BouncyCastleProvider());
		BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
		for (String line; (line = orders.readLine()) != null; ) {
			try {
				new BouncyCastle(line).run();
				System.out.println("ok");
			} catch (Throwable t) {
				System.out.println("error " + t.toString().replace('\n', ' '));
			}
			System.out.flush();
		}
	}

	private BouncyCastle(String line) {
		String[] words = line.split("\t");
		order.put("verb", words[0]);
		for (int i = 1; i < words.length; i++) {
			int at = words[i].indexOf('=');
			order.put(words[i].substring(0, at), words[i].substring(at + 1));
		}
	}

	private void run() throws Exception {
		switch (get("verb")) {
		case "encrypt": encrypt(); break;
		case "decrypt": decrypt(); break;
		case "sign": sign(); break;
		case "verify": verify(); break;
		case "compress": compress(); break;
		case "decompress": decompress(); break;
		default: throw new IllegalArgumentException("verb " + get("verb"));
		}
	}

	// get returns a value, empty if it was not given.
	private String get(String name) { return order.getOrDefault(name, ""); }

	private boolean is(String name) { return !get(name).isEmpty(); }

	private InputStream in() throws Exception { return new BufferedInputStream(new FileInputStream(get("in"))); }

	private OutputStream out() throws Exception { return new BufferedOutputStream(new FileOutputStream(get("out"))); }

	private byte[] content() throws Exception { return Files.readAllBytes(Paths.get(get("in"))); }

	private List<X509Certificate> certificates() throws Exception {
		List<X509Certificate> found = new ArrayList<>();
		for (String name : get("cert").split(",")) {
			try (InputStream in = new FileInputStream(name)) {
				found.add((X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in));
			}
		}
		return found;
	}

	private PrivateKey key() throws Exception {
		String kind = certificates().get(0).getPublicKey().getAlgorithm();
		byte[] raw = Files.readAllBytes(Paths.get(get("key")));
		return KeyFactory.getInstance(kind, "BC").generatePrivate(new PKCS8EncodedKeySpec(raw));
	}

	private void save(byte[] made) throws Exception { Files.write(Paths.get(get("out")), made); }

	private static void pour(InputStream in, OutputStream out) throws Exception {
		try (in; out) {
			in.transferTo(out);
		}
	}

	private JceKeyTransRecipientInfoGenerator recipient(X509Certificate certificate) throws Exception {
		if (is("oaep")) {
			AlgorithmParameterSpec spec = new OAEPParameterSpec(get("oaep"), "MGF1", new MGF1ParameterSpec(get("mask")),
				PSource.PSpecified.DEFAULT);
			AlgorithmIdentifier id = new JcaAlgorithmParametersConverter()
				.getAlgorithmIdentifier(PKCSObjectIdentifiers.id_RSAES_OAEP, spec);
			return new JceKeyTransRecipientInfoGenerator(certificate, id).setProvider("BC");
		}
		if (is("byKeyID")) {
			byte[] id = new JcaX509ExtensionUtils().createSubjectKeyIdentifier(certificate.getPublicKey()).getKeyIdentifier();
			return new JceKeyTransRecipientInfoGenerator(id, certificate.getPublicKey()).setProvider("BC");
		}
		return new JceKeyTransRecipientInfoGenerator(certificate).setProvider("BC");
	}

	private void encrypt() throws Exception {
		OutputEncryptor cipher = new JceCMSContentEncryptorBuilder(new ASN1ObjectIdentifier(get("cipher")))
			.setProvider("BC").build();
		if (is("authenticated")) {
			encryptAuthenticated((OutputAEADEncryptor) cipher);
			return;
		}
		if (is("stream")) {
			CMSEnvelopedDataStreamGenerator g = new CMSEnvelopedDataStreamGenerator();
			for (X509Certificate c : certificates()) g.addRecipientInfoGenerator(recipient(c));
			g.setBEREncodeRecipients(true);
			g.setBufferSize(1000);
			OutputStream out = out();
			pour(in(), g.open(out, cipher));
			out.close();
			return;
		}
		CMSEnvelopedDataGenerator g = new CMSEnvelopedDataGenerator();
		for (X509Certificate c : certificates()) g.addRecipientInfoGenerator(recipient(c));
		save(g.generate(new CMSProcessableByteArray(content()), cipher).toASN1Structure().getEncoded(get("encoding")));
	}

	private void encryptAuthenticated(OutputAEADEncryptor cipher) throws Exception {
		CMSAuthEnvelopedDataGenerator g = new CMSAuthEnvelopedDataGenerator();
		for (X509Certificate c : certificates()) g.addRecipientInfoGenerator(recipient(c));
		if (is("attributes")) {
			Hashtable<ASN1ObjectIdentifier, org.bouncycastle.asn1.cms.Attribute> table = new Hashtable<>();
			ASN1ObjectIdentifier id = new ASN1ObjectIdentifier("1.2.3.4");
			table.put(id, new org.bouncycastle.asn1.cms.Attribute(id, new DERSet(new DERUTF8String(get("attributes")))));
			g.setAuthenticatedAttributeGenerator(new SimpleAttributeTableGenerator(
				new org.bouncycastle.asn1.cms.AttributeTable(table)));
		}
		save(g.generate(new CMSProcessableByteArray(content()), cipher).toASN1Structure().getEncoded(get("encoding")));
	}

	private void decrypt() throws Exception {
		JceKeyTransRecipientId whose = new JceKeyTransRecipientId(certificates().get(0));
		Recipient who = new JceKeyTransEnvelopedRecipient(key()).setProvider("BC");
		if (is("authenticated")) {
			RecipientInformation found = new CMSAuthEnvelopedData(content()).getRecipientInfos().get(whose);
			save(found.getContent(new JceKeyTransEnvelopedRecipient(key()).setProvider("BC")));
			return;
		}
		try (InputStream in = in()) {
			RecipientInformation found = new CMSEnvelopedDataParser(in).getRecipientInfos().get(whose);
			pour(found.getContentStream(who).getContentStream(), out());
		}
	}

	private SignerInfoGenerator signer(X509Certificate certificate) throws Exception {
		DigestCalculatorProvider digests = new JcaDigestCalculatorProviderBuilder().setProvider("BC").build();
		ContentSigner signer = new JcaContentSignerBuilder(get("algorithm")).setProvider("BC").build(key());
		JcaSignerInfoGeneratorBuilder builder = new JcaSignerInfoGeneratorBuilder(digests);
		builder.setDirectSignature(is("direct"));
		if (is("byKeyID")) {
			byte[] id = new JcaX509ExtensionUtils().createSubjectKeyIdentifier(certificate.getPublicKey()).getKeyIdentifier();
			return builder.build(signer, id);
		}
		return builder.build(signer, certificate);
	}

	private void sign() throws Exception {
		List<X509Certificate> certificates = certificates();
		if (is("stream")) {
			CMSSignedDataStreamGenerator g = new CMSSignedDataStreamGenerator();
			g.addSignerInfoGenerator(signer(certificates.get(0)));
			if (!is("bare")) g.addCertificates(new JcaCertStore(certificates));
			g.setBufferSize(1000);
			OutputStream out = out();
			pour(in(), g.open(out, is("attached")));
			out.close();
			return;
		}
		CMSSignedDataGenerator g = new CMSSignedDataGenerator();
		g.addSignerInfoGenerator(signer(certificates.get(0)));
		if (!is("bare")) g.addCertificates(new JcaCertStore(certificates));
		save(g.generate(new CMSProcessableByteArray(content()), is("attached")).toASN1Structure().getEncoded(get("encoding")));
	}

	// verify wants a signature of each certificate, and no other.
	private void verify() throws Exception {
		DigestCalculatorProvider digests = new JcaDigestCalculatorProviderBuilder().setProvider("BC").build();
		try (InputStream signature = new FileInputStream(get("signature")); InputStream in = in()) {
			CMSSignedDataParser p = new CMSSignedDataParser(digests, new CMSTypedStream(in), signature);
			p.getSignedContent().drain();
			List<X509Certificate> certificates = certificates();
			Collection<SignerInformation> signers = p.getSignerInfos().getSigners();
			if (signers.size() != certificates.size()) throw new CMSException("signers: " + signers.size());
			for (X509Certificate c : certificates) {
				SignerInformation signer = p.getSignerInfos().get(new JcaSignerId(c));
				if (signer == null) throw new CMSException("not signed by " + c.getSubjectX500Principal());
				if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(c)))
					throw new CMSException("wrong signature of " + c.getSubjectX500Principal());
			}
			if (p.getCertificates().getMatches(null).size() != Integer.parseInt(get("sent")))
				throw new CMSException("certificates: " + p.getCertificates().getMatches(null).size());
		}
	}

	private void compress() throws Exception {
		if (is("stream")) {
			CMSCompressedDataStreamGenerator g = new CMSCompressedDataStreamGenerator();
			g.setBufferSize(1000);
			OutputStream out = out();
			pour(in(), g.open(out, new org.bouncycastle.cms.jcajce.ZlibCompressor()));
			out.close();
			return;
		}
		CMSCompressedData made = new CMSCompressedDataGenerator()
			.generate(new CMSProcessableByteArray(content()), new org.bouncycastle.cms.jcajce.ZlibCompressor());
		save(made.toASN1Structure().getEncoded(get("encoding")));
	}

	private void decompress() throws Exception {
		try (InputStream in = in()) {
			CMSCompressedDataParser p = new CMSCompressedDataParser(in);
			pour(p.getContent(new ZlibExpanderProvider()).getContentStream(), out());
		}
	}
}
