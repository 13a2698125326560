// The same verification by an implementation that is not ours, npm's @phala/dcap-qvl, for `make bench
// BENCH=verify`. Everything is verified each time; the median of many, in ms of CPU.
//   node verify.js ROOT.der QUOTE COLLATERAL UNIX-TIME [ROUNDS]
'use strict';
const fs = require('fs');
const { QuoteVerifier } = require('@phala/dcap-qvl');

const [root, quoteFile, collateralFile, at, rounds = '200'] = process.argv.slice(2);
const quote = fs.readFileSync(quoteFile);
const collateral = JSON.parse(fs.readFileSync(collateralFile, 'utf8'));
for (const key of ['root_ca_crl', 'pck_crl', 'tcb_info_signature', 'qe_identity_signature'])
	collateral[key] = Array.from(Buffer.from(collateral[key], 'hex'));
const verifier = new QuoteVerifier(fs.readFileSync(root));
const took = [];
for (let i = -50; i < Number(rounds); i++) { // the first 50 are for the compiler
	const start = process.cpuUsage();
	verifier.verify(quote, collateral, Number(at));
	const spent = process.cpuUsage(start);
	if (i >= 0)
		took.push((spent.user + spent.system) / 1000);
}
took.sort((a, b) => a - b);
console.log(took[took.length >> 1].toFixed(4));
