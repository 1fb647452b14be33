/* Decoding VMX exits: every reason, qualification and event; permission bitmaps; EPT entries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86/vmx/decode.h"
#include "arch/x86/vmx/vmx.h"

static struct vm_exit e;

struct vmx_controls vmx_controls;

static void every_reason(void **state)
{
	static const uint8_t refused[] = {11, 15, 17, 19, 20, 21, 22, 23, 24, 25,
					  26, 27, 36, 39, 50, 53, 59, 60, 76, 77};
	static const struct {
		uint8_t reason, kind;
	} others[] = {
		{0, EXIT_EXCEPTION},    {1, EXIT_HOST_EVENT},    {2, EXIT_SHUTDOWN},
		{3, EXIT_INIT},         {4, EXIT_INIT},          {7, EXIT_WINDOW},
		{8, EXIT_WINDOW},       {9, EXIT_TASK_SWITCH},   {10, EXIT_CPUID},
		{12, EXIT_HALT},        {13, EXIT_CACHE},        {18, EXIT_HYPERCALL},
		{28, EXIT_CONTROL_REG}, {30, EXIT_IO},           {31, EXIT_MSR},
		{32, EXIT_MSR},         {33, EXIT_ENTRY_FAILED}, {34, EXIT_ENTRY_FAILED},
		{40, EXIT_PAUSE},       {41, EXIT_ENTRY_FAILED}, {43, EXIT_WINDOW},
		{48, EXIT_MEMORY},      {52, EXIT_HOST_EVENT},   {54, EXIT_CACHE},
		{55, EXIT_XSETBV},
	};

	(void)state;
	for (uint32_t reason = 0; reason < 70000; reason++) {
		enum exit_kind kind = EXIT_UNKNOWN;

		if (reason < 256 && memchr(refused, (int)reason, sizeof(refused)))
			kind = EXIT_REFUSED;
		for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
			if (others[i].reason == reason)
				kind = others[i].kind;
		assert_int_equal(vmx_exit_kind(reason), kind);
	}
}

static void io(void **state)
{
	static const uint8_t sizes[] = {1, 2, 4};

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		for (unsigned flags = 0; flags < 16; flags++) {
			uint64_t q = (sizes[i] - 1u) | (flags & 7) << 3 | (flags & 8) << 3 |
				     0xfeedull << 16;

			vmx_decode_io(q, &e);
			assert_int_equal(e.kind, EXIT_IO);
			assert_int_equal(e.io.size, sizes[i]);
			assert_int_equal(e.io.port, 0xfeed);
			assert_int_equal(e.io.flags, (flags & 1 ? IO_IN : 0) |
							     (flags & 2 ? IO_STRING : 0) |
							     (flags & 4 ? IO_REP : 0));
		}
}

static unsigned access_of(uint64_t qualification)
{
	vmx_decode_memory(qualification, 0x123456789abc, &e);
	assert_int_equal(e.kind, EXIT_MEMORY);
	assert_int_equal(e.memory.gpa.v, 0x123456789abc);
	return e.memory.access;
}

static void memory(void **state)
{
	const uint64_t data = BIT(7) | BIT(8);

	(void)state;
	assert_int_equal(access_of(data | 1), ACCESS_READ);
	assert_int_equal(access_of(data | 2), ACCESS_WRITE);
	assert_int_equal(access_of(data | 3), ACCESS_WRITE); /* read and written back */
	assert_int_equal(access_of(data | 4), ACCESS_EXEC);
	assert_int_equal(access_of(data | 2 | BIT(3)), ACCESS_WRITE | ACCESS_PRESENT);
	assert_int_equal(access_of(BIT(7) | 1), ACCESS_READ | ACCESS_WALK);
	assert_int_equal(access_of(1), ACCESS_READ); /* of no linear address: PDPTEs */
}

static void control_registers(void **state)
{
	(void)state;
	for (unsigned gpr = 0; gpr < 16; gpr++)
		for (unsigned type = 0; type < 4; type++) {
			vmx_decode_cr(4 | type << 4 | gpr << 8, &e);
			assert_int_equal(e.kind, EXIT_CONTROL_REG);
			assert_int_equal(e.control.cr, 4);
			assert_int_equal(e.control.gpr, gpr);
			assert_int_equal(e.control.write, type != 1);
			assert_int_equal(e.control.decode, type >= 2);
		}
}

static void exceptions(void **state)
{
	(void)state;
	vmx_decode_exception(BIT32(31) | BIT32(11) | 3 << 8 | VEC_AC, 0, 0x55, &e);
	assert_int_equal(e.kind, EXIT_EXCEPTION);
	assert_int_equal(e.exception.vector, VEC_AC);
	assert_true(e.exception.has_error);
	assert_int_equal(e.exception.payload, 0);
	/* a #DB tells its causes, and not what RTM made of bit 16 */
	vmx_decode_exception(BIT32(31) | 3 << 8 | VEC_DB, 77, 0x1400f, &e);
	assert_false(e.exception.has_error);
	assert_int_equal(e.exception.error, 0);
	assert_int_equal(e.exception.payload, 0x400f);
	vmx_decode_exception(BIT32(31) | BIT32(11) | 3 << 8 | VEC_PF, 6, 0x7fff0000, &e);
	assert_int_equal(e.exception.error, 6);
	assert_int_equal(e.exception.payload, 0x7fff0000);
	vmx_decode_exception(BIT32(31) | 3 << 8 | VEC_MC, 0, 0, &e);
	assert_int_equal(e.kind, EXIT_MACHINE_CHECK);
}

static void events(void **state)
{
	(void)state;
	for (unsigned kind = EVENT_INTERRUPT; kind <= EVENT_EXCEPTION; kind++)
		for (unsigned error = 0; error < 2; error++) {
			struct vcpu_event in = {.kind = (uint8_t)kind,
						.vector = (uint8_t)(kind + 0x20),
						.has_error = error,
						.error = error ? 0x1234 : 0};
			struct vcpu_event back = vmx_event_decode(vmx_event_encode(&in), in.error);

			assert_int_equal(back.kind, in.kind);
			assert_int_equal(back.vector, in.vector);
			assert_int_equal(back.has_error, in.has_error);
			assert_int_equal(back.error, in.error);
		}
	/* INT n, INT1, INT3: RIP is still there */
	for (uint32_t type = EVENT_TYPE_SOFT_INT; type <= EVENT_TYPE_OTHER; type++)
		assert_int_equal(vmx_event_decode(EVENT_VALID | type << 8 | 3, 0).kind, EVENT_NONE);
	assert_int_equal(vmx_event_decode(3 << 8 | 14, 0).kind, EVENT_NONE);
}

static uint8_t *pages;
static struct hv_vm vm;

static int make_vm(void **state)
{
	(void)state;
	pages = aligned_alloc(PAGE_SIZE, VMX_VM_PAGES * PAGE_SIZE);
	assert_non_null(pages);
	vm.pages = (struct hv_pages){pages, HPA(0x1000)};
	vmx_permissions_init(&vm);
	return 0;
}

static int drop_vm(void **state)
{
	(void)state;
	free(pages);
	return 0;
}

static unsigned zeros(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < VMX_VM_PAGES * PAGE_SIZE; i++)
		n += 8 - (unsigned)__builtin_popcount(pages[i]);
	return n;
}

static void ports(void **state)
{
	(void)state;
	assert_int_equal(zeros(), 0); /* all is denied */
	for (uint32_t port = 0; port < 0x10000; port += 0x0fff) {
		vmx_allow_port(&vm, (uint16_t)port, true);
		assert_int_equal(zeros(), 1);
		assert_false(pages[port / 8] >> (port % 8) & 1);
		vmx_allow_port(&vm, (uint16_t)port, false);
		assert_int_equal(zeros(), 0);
	}
}

static void msrs(void **state)
{
	static const struct {
		uint32_t msr, read_at; /* byte in the bitmaps */
	} known[] = {
		{0, 0}, {0x174, 0x174 / 8}, {0x1fff, 1023}, {0xc0000000, 1024}, {0xc0001fff, 2047}};
	static const uint32_t outside[] = {0x2000, 0xbfffffff, 0xc0002000, 0xc0010117, UINT32_MAX};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
		const uint8_t *map = pages + VMX_VM_MSR_PAGE * PAGE_SIZE;
		uint8_t bit = (uint8_t)(1u << (known[i].msr & 7));

		vmx_allow_msr(&vm, known[i].msr, true, false);
		assert_int_equal(zeros(), 1);
		assert_false(map[known[i].read_at] & bit);
		vmx_allow_msr(&vm, known[i].msr, false, true);
		assert_int_equal(zeros(), 1);
		assert_false(map[2048 + known[i].read_at] & bit);
		vmx_allow_msr(&vm, known[i].msr, false, false);
		assert_int_equal(zeros(), 0);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(outside); i++)
		vmx_allow_msr(&vm, outside[i], true, true);
	assert_int_equal(zeros(), 0);
}

static void ept_entries(void **state)
{
	(void)state;
	for (unsigned perm = 1; perm < 8; perm++)
		for (unsigned level = 1; level <= 3; level++) {
			uint64_t entry = ept_format.leaf(0x40000000, level, perm);

			assert_true(ept_format.present(entry));
			assert_true(ept_format.is_leaf(entry, level));
			assert_int_equal(ept_format.perm(entry), perm);
			assert_int_equal(entry & ept_format.address_mask, 0x40000000);
			assert_int_equal(entry >> 3 & 15,
					 6 | 8); /* write-back, whatever PAT says */
			assert_int_equal(entry >> 7 & 1, level > 1);
		}
	assert_false(ept_format.is_leaf(ept_format.table(0x5000), 2));
	assert_int_equal(ept_format.table(0x5000), 0x5007);
	assert_false(ept_format.present(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reason),
		cmocka_unit_test(io),
		cmocka_unit_test(memory),
		cmocka_unit_test(control_registers),
		cmocka_unit_test(exceptions),
		cmocka_unit_test(events),
		cmocka_unit_test_setup_teardown(ports, make_vm, drop_vm),
		cmocka_unit_test_setup_teardown(msrs, make_vm, drop_vm),
		cmocka_unit_test(ept_entries),
	};

	return cmocka_run_group_tests_name("VMX exits", tests, NULL, NULL);
}
