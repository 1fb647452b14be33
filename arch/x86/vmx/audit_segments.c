/*
 * VM entry's rules about the guest's segment registers. Source: Intel SDM volume 3, "Checks on
 * Guest Segment Registers". Pure.
 */
#include "arch/x86/vmx/audit_parts.h"

#define ACCESS_TYPE(access) ((access)&SEG_ATTR_TYPE)
#define ACCESS_DPL(access)  (((access)&SEG_ATTR_DPL) >> 5)
#define ACCESS_VIRTUAL_8086 0xf3u

/* types */
#define TYPE_ACCESSED   1u /* of code and data */
#define TYPE_READABLE   2u /* of code */
#define TYPE_DATA       3u /* read and write, expand-up, accessed */
#define TYPE_CONFORMING 4u /* of code */
#define TYPE_CODE       8u
#define TYPE_LDT        2u
#define TYPE_TSS_16     3u  /* busy */
#define TYPE_TSS        11u /* busy, 32-bit or 64-bit */

/* "guest SS access rights 0x93: rule", in a function that has `i` and `why`. */
#define SEGMENT_BROKEN(part, value, rule, ...)                                \
	refuse(why, ERR_INVALID, "guest %s " part " 0x%llx: " rule, names[i], \
	       (unsigned long long)(value), ##__VA_ARGS__)

static const char *const names[SEG_COUNT] = {
	[SEG_ES] = "ES", [SEG_CS] = "CS", [SEG_SS] = "SS",     [SEG_DS] = "DS",
	[SEG_FS] = "FS", [SEG_GS] = "GS", [SEG_LDTR] = "LDTR", [SEG_TR] = "TR",
};

/* In the manual's order. */
static const uint8_t code_and_data[] = {SEG_CS, SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS};

static bool is_usable(const struct vmx_audit *a, unsigned i)
{
	return !(a->guest.seg[i].access & ACCESS_UNUSABLE);
}

static bool is_virtual_8086(const struct vmx_audit *a)
{
	return a->guest.rflags & RFLAGS_VM;
}

static unsigned rpl(const struct vmx_audit *a, unsigned i)
{
	return a->guest.seg[i].selector & 3;
}

static int check_selectors(const struct vmx_audit *a, struct reason *why)
{
	static const uint8_t system[] = {SEG_TR, SEG_LDTR};
	unsigned i;

	for (unsigned n = 0; n < ARRAY_SIZE(system); n++) {
		i = system[n];
		if ((i == SEG_TR || is_usable(a, i)) && (a->guest.seg[i].selector & 4))
			return SEGMENT_BROKEN("selector", a->guest.seg[i].selector,
					      "its table indicator must be 0");
	}
	i = SEG_SS;
	if (!is_virtual_8086(a) && !is_unrestricted(a) && rpl(a, SEG_SS) != rpl(a, SEG_CS))
		return SEGMENT_BROKEN("selector", a->guest.seg[i].selector,
				      "RPL %u differs from the RPL %u of CS", rpl(a, SEG_SS),
				      rpl(a, SEG_CS));
	return 0;
}

static int check_canonical_bases(const struct vmx_audit *a, struct reason *why)
{
	int err = audit_canonical(a, "guest TR base", a->guest.seg[SEG_TR].base, why);

	if (!err)
		err = audit_canonical(a, "guest FS base", a->guest.seg[SEG_FS].base, why);
	if (!err)
		err = audit_canonical(a, "guest GS base", a->guest.seg[SEG_GS].base, why);
	if (!err && is_usable(a, SEG_LDTR))
		err = audit_canonical(a, "guest LDTR base", a->guest.seg[SEG_LDTR].base, why);
	return err;
}

static int check_bases(const struct vmx_audit *a, struct reason *why)
{
	int err;

	for (unsigned n = 0; is_virtual_8086(a) && n < ARRAY_SIZE(code_and_data); n++) {
		unsigned i = code_and_data[n];
		const struct vmx_audit_segment *s = &a->guest.seg[i];

		if (s->base != (uint64_t)s->selector << 4)
			return SEGMENT_BROKEN("base", s->base,
					      "not 16 times the selector 0x%x in virtual-8086 mode",
					      s->selector);
	}
	err = check_canonical_bases(a, why);
	if (err)
		return err;
	for (unsigned n = 0; n < ARRAY_SIZE(code_and_data); n++) {
		unsigned i = code_and_data[n];

		if (i != SEG_FS && i != SEG_GS && (i == SEG_CS || is_usable(a, i)) &&
		    a->guest.seg[i].base >> 32)
			return SEGMENT_BROKEN("base", a->guest.seg[i].base, "bits 63:32 must be 0");
	}
	return 0;
}

static int check_virtual_8086(const struct vmx_audit *a, struct reason *why)
{
	for (unsigned n = 0; n < ARRAY_SIZE(code_and_data); n++) {
		unsigned i = code_and_data[n];

		if (a->guest.seg[i].limit != 0xffff)
			return SEGMENT_BROKEN("limit", a->guest.seg[i].limit,
					      "must be 0xffff in virtual-8086 mode");
	}
	for (unsigned n = 0; n < ARRAY_SIZE(code_and_data); n++) {
		unsigned i = code_and_data[n];

		if (a->guest.seg[i].access != ACCESS_VIRTUAL_8086)
			return SEGMENT_BROKEN("access rights", a->guest.seg[i].access,
					      "must be 0xf3 in virtual-8086 mode");
	}
	return 0;
}

static int check_type(const struct vmx_audit *a, unsigned i, struct reason *why)
{
	uint32_t access = a->guest.seg[i].access;
	uint32_t type = ACCESS_TYPE(access);

	if (i == SEG_CS) {
		if ((type & (TYPE_CODE | TYPE_ACCESSED)) == (TYPE_CODE | TYPE_ACCESSED) ||
		    (type == TYPE_DATA && is_unrestricted(a)))
			return 0;
		return SEGMENT_BROKEN("access rights", access,
				      "type %u is not that of an accessed code segment", type);
	}
	if (i == SEG_SS) {
		if (type == 3 || type == 7)
			return 0;
		return SEGMENT_BROKEN("access rights", access,
				      "type %u is not that of writable, accessed data", type);
	}
	if (!(type & TYPE_ACCESSED))
		return SEGMENT_BROKEN("access rights", access, "type %u is not accessed", type);
	if ((type & TYPE_CODE) && !(type & TYPE_READABLE))
		return SEGMENT_BROKEN("access rights", access, "type %u is code and not readable",
				      type);
	return 0;
}

static int check_code_dpl(const struct vmx_audit *a, struct reason *why)
{
	const unsigned i = SEG_CS;
	uint32_t access = a->guest.seg[i].access;
	uint32_t type = ACCESS_TYPE(access), dpl = ACCESS_DPL(access);
	uint32_t stack = ACCESS_DPL(a->guest.seg[SEG_SS].access);

	if (type == TYPE_DATA) {
		if (dpl)
			return SEGMENT_BROKEN("access rights", access,
					      "DPL %u must be 0 in a data segment", dpl);
	} else if (!(type & TYPE_CONFORMING)) {
		if (dpl != stack)
			return SEGMENT_BROKEN("access rights", access,
					      "DPL %u differs from the DPL %u of SS", dpl, stack);
	} else if (dpl > stack) {
		return SEGMENT_BROKEN("access rights", access,
				      "DPL %u of conforming code is above the DPL %u of SS", dpl,
				      stack);
	}
	return 0;
}

/* Counts even while SS is unusable: it is the privilege level. */
static int check_stack_dpl(const struct vmx_audit *a, struct reason *why)
{
	const unsigned i = SEG_SS;
	uint32_t access = a->guest.seg[i].access;
	uint32_t dpl = ACCESS_DPL(access);

	if (!is_unrestricted(a) && dpl != rpl(a, i))
		return SEGMENT_BROKEN("access rights", access,
				      "DPL %u differs from the RPL %u of its selector", dpl,
				      rpl(a, i));
	if (dpl && ACCESS_TYPE(a->guest.seg[SEG_CS].access) == TYPE_DATA)
		return SEGMENT_BROKEN("access rights", access,
				      "DPL %u must be 0 while CS is a data segment", dpl);
	if (dpl && !(a->guest.cr0 & CR0_PE))
		return SEGMENT_BROKEN("access rights", access, "DPL %u must be 0 in real mode",
				      dpl);
	return 0;
}

static int check_dpl(const struct vmx_audit *a, unsigned i, struct reason *why)
{
	uint32_t access = a->guest.seg[i].access;

	if (i == SEG_CS)
		return check_code_dpl(a, why);
	if (i == SEG_SS)
		return check_stack_dpl(a, why);
	if (!is_unrestricted(a) && is_usable(a, i) && ACCESS_TYPE(access) < 12 &&
	    ACCESS_DPL(access) < rpl(a, i))
		return SEGMENT_BROKEN("access rights", access,
				      "DPL %u is below the RPL %u of its selector",
				      ACCESS_DPL(access), rpl(a, i));
	return 0;
}

/* P, the reserved bits, and the granularity that the limit allows: for all segments alike. */
static int check_common_bits(const struct vmx_audit *a, unsigned i, struct reason *why)
{
	uint32_t access = a->guest.seg[i].access, limit = a->guest.seg[i].limit;

	if (!(access & SEG_ATTR_P))
		return SEGMENT_BROKEN("access rights", access, "the segment is not present");
	if (access & 0xf00)
		return SEGMENT_BROKEN("access rights", access, "bits 11:8 must be 0");
	if (i == SEG_CS && is_long_mode(a) && (access & ACCESS_L) && (access & ACCESS_DB))
		return SEGMENT_BROKEN("access rights", access,
				      "L and D/B are both set in long mode");
	if ((access & ACCESS_G) && (limit & 0xfff) != 0xfff)
		return SEGMENT_BROKEN("access rights", access,
				      "G must be 0 with limit 0x%x, whose bits 11:0 are not all 1",
				      limit);
	if (!(access & ACCESS_G) && limit >> 20)
		return SEGMENT_BROKEN("access rights", access,
				      "G must be 1 with limit 0x%x, which is above 0xfffff", limit);
	if (access >> 17)
		return SEGMENT_BROKEN("access rights", access, "bits 31:17 must be 0");
	return 0;
}

static int check_access(const struct vmx_audit *a, unsigned i, struct reason *why)
{
	bool counts = i == SEG_CS || is_usable(a, i);
	int err;

	if (counts) {
		err = check_type(a, i, why);
		if (err)
			return err;
		if (!(a->guest.seg[i].access & SEG_ATTR_S))
			return SEGMENT_BROKEN("access rights", a->guest.seg[i].access,
					      "S must be 1 for code or data");
	}
	err = check_dpl(a, i, why);
	if (!err && counts)
		err = check_common_bits(a, i, why);
	return err;
}

static int check_task(const struct vmx_audit *a, struct reason *why)
{
	const unsigned i = SEG_TR;
	uint32_t access = a->guest.seg[i].access;
	uint32_t type = ACCESS_TYPE(access);

	if (type != TYPE_TSS && (is_long_mode(a) || type != TYPE_TSS_16))
		return SEGMENT_BROKEN("access rights", access,
				      "type %u is not that of a busy task-state segment", type);
	if (access & SEG_ATTR_S)
		return SEGMENT_BROKEN("access rights", access, "S must be 0");
	if (access & ACCESS_UNUSABLE)
		return SEGMENT_BROKEN("access rights", access, "must be usable");
	return check_common_bits(a, i, why);
}

static int check_ldt(const struct vmx_audit *a, struct reason *why)
{
	const unsigned i = SEG_LDTR;
	uint32_t access = a->guest.seg[i].access;

	if (!is_usable(a, i))
		return 0;
	if (ACCESS_TYPE(access) != TYPE_LDT)
		return SEGMENT_BROKEN("access rights", access,
				      "type %u is not that of a local descriptor table",
				      ACCESS_TYPE(access));
	if (access & SEG_ATTR_S)
		return SEGMENT_BROKEN("access rights", access, "S must be 0");
	return check_common_bits(a, i, why);
}

static int check_code_and_data(const struct vmx_audit *a, struct reason *why)
{
	if (is_virtual_8086(a))
		return check_virtual_8086(a, why);
	for (unsigned n = 0; n < ARRAY_SIZE(code_and_data); n++) {
		int err = check_access(a, code_and_data[n], why);

		if (err)
			return err;
	}
	return 0;
}

int audit_guest_segments(const struct vmx_audit *a, struct reason *why)
{
	static audit_check *const checks[] = {
		check_selectors, check_bases, check_code_and_data, check_task, check_ldt,
	};

	return audit_all(checks, ARRAY_SIZE(checks), a, why);
}
