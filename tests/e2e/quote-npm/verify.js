// Verifies a quote with an implementation that is not ours: npm's @phala/dcap-qvl.
//   node verify.js ROOT.der QUOTE PCCS_URL|COLLATERAL.json
// Prints one JSON line; exit 1 with the reason when it is refused.
'use strict';
const fs = require('fs');
const { QuoteVerifier, getCollateral } = require('@phala/dcap-qvl');

async function main([rootFile, quoteFile, from]) {
	const quote = fs.readFileSync(quoteFile);
	const hex = (s) => Array.from(Buffer.from(s, 'hex'));
	let collateral;
	if (from.startsWith('http')) {
		collateral = await getCollateral(from, quote);
	} else {
		collateral = JSON.parse(fs.readFileSync(from, 'utf8'));
		for (const key of ['root_ca_crl', 'pck_crl', 'tcb_info_signature', 'qe_identity_signature'])
			collateral[key] = hex(collateral[key]);
	}
	const verifier = new QuoteVerifier(fs.readFileSync(rootFile));
	const r = verifier.verify(quote, collateral, Math.floor(Date.now() / 1000));
	const report = r.report.asTd10 ? r.report.asTd10() : r.report;
	const h = (v) => (v ? Buffer.from(v).toString('hex') : null);
	console.log(JSON.stringify({
		status: r.status,
		advisories: r.advisory_ids,
		mrtd: h(report.mrTd ?? report.mr_td),
		rtmr3: h(report.rtMr3 ?? report.rt_mr3),
		report_data: h(report.reportData ?? report.report_data),
	}));
}

main(process.argv.slice(2)).catch((e) => {
	console.error(String(e.message || e));
	process.exit(1);
});
