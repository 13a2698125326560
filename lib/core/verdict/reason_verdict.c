// Explanations of codes of the verdict on whole evidence: its forms, the expectations, what a certificate
// adds.
#include "core/verdict/reason_more.h"

// clang-format off
static const struct reason_text table[] = {
	{
		"verify.no_expectation", "Nothing said what the evidence must be bound to",
		"A program asked for a verdict without a challenge, a key or the word that it wants neither.",
		"Give the challenge, or say that the evidence is to be taken as it states itself.",
	},
	{
		"verify.not_certificate", "A certificate is needed",
		"The question is about a key, and this evidence is not bound to one by a certificate.",
		"Give the RA-TLS certificate.",
	},
	{
		"policy.format", "The expectations cannot be read",
		"The document is no JSON object, or a member of it is twice there or not of its form.",
		"Correct the policy file; docs/formats/expect.md lists its members.",
	},
	{
		"policy.unknown_field", "The expectations have an unknown member",
		"A misspelt restriction would restrict nothing, so none is guessed at.",
		"Correct its name; docs/formats/expect.md lists the members.",
	},
	{
		"evidence.json", "The evidence's JSON cannot be read",
		"It is malformed, or has neither attestation nor quote.",
		"Give the answer of Attest or GetQuote, or a verifier's request, as it was received.",
	},
	{
		"collateral.missing", "There is no collateral",
		"Neither the evidence nor the caller brought any, and none could be fetched here.",
		"Give the platform's collateral (--collateral FILE), or a collateral server.",
	},
	{
		"events.absent", "The event log is missing",
		"A quote alone says nothing about the app: its events are in the log.",
		"Give the log that belongs to the quote, as GetQuote answers both.",
	},
	{
		"events.not_applicable", "An event log that nothing backs",
		"The platform has no register for events, so whoever wrote the list could have written anything.",
		"Do not trust it.",
	},
	{
		"ratls.app_info_differs", "The certificate's app info says other than its evidence",
		"The issuer's claim and the attested values are not the same app, image or machine.",
		"Do not trust the certificate; what is attested is shown.",
	},
};
// clang-format on

const struct reason_group reason_verdict = { table, sizeof table / sizeof *table };
