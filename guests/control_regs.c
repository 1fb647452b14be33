/*
 * Writes to CR0, CR4 and CR8 that exit: which ones do differs between the back ends, what they
 * answer does not. Sources: Intel SDM volume 2, "MOV - Move to/from Control Registers"; volume 3,
 * "Paging-Mode Modifiers", "PAE Paging", "Operations that Invalidate TLBs and Paging-Structure
 * Caches".
 */
#include "guests/gwalk.h"
#include "guests/vm.h"

#define CR0_MEANT                                                                                  \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
	 CR0_PG)

#define PDPTE_PRESENT  BIT(0)
#define PDPTE_RESERVED (BIT(1) | BIT(2) | BIT(5) | BIT(6) | BIT(7) | BIT(8))
#define PDPT_MASK      0xffffffe0ull

/* PAE paging keeps its four uppermost entries in the processor. False: #GP, because one is
 * malformed. */
bool vcpu_load_pdptes(struct vcpu *v)
{
	uint64_t reserved = PDPTE_RESERVED | ~(BIT(v->hv.phys_bits) - 1);
	uint64_t pdptes[4];

	if (!hv_caps.keeps_pdptes)
		return true; /* it reads them when it needs them */
	/* beyond RAM all ones are read, which is malformed */
	if (gmem_read(&v->vm->mem, hv->get_cr(&v->hv, 3) & PDPT_MASK, pdptes, sizeof(pdptes)))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(pdptes); i++)
		if ((pdptes[i] & PDPTE_PRESENT) && (pdptes[i] & reserved))
			return false;
	hv->set_pdptes(&v->hv, pdptes);
	return true;
}

/* Switching paging on or off enters or leaves long mode. False: #GP. */
static bool paging_legal(struct vcpu *v, bool on)
{
	uint64_t cr4 = hv->get_cr(&v->hv, 4), efer = hv->get_efer(&v->hv);
	struct code_context code;

	hv->get_code(&v->hv, &code);
	if (!on)
		return !code_is_64bit(&code) && !(cr4 & CR4_PCIDE);
	return !(efer & EFER_LME) || ((cr4 & CR4_PAE) && !(code.cs_attr & SEG_ATTR_L));
}

static bool write_cr0(struct vcpu *v, uint64_t value)
{
	uint64_t old = hv->get_cr(&v->hv, 0), efer = hv->get_efer(&v->hv);
	uint64_t changed;

	if (value >> 32)
		return false;
	value = (value & CR0_MEANT) | CR0_ET;
	changed = value ^ old;
	if ((value & CR0_PG) && !(value & CR0_PE))
		return false;
	if ((value & CR0_NW) && !(value & CR0_CD))
		return false;
	if ((changed & CR0_PG) && !paging_legal(v, value & CR0_PG))
		return false;
	if ((value & CR0_PG) && !(efer & EFER_LME) && (hv->get_cr(&v->hv, 4) & CR4_PAE) &&
	    (changed & (CR0_PG | CR0_CD | CR0_NW)) && !vcpu_load_pdptes(v))
		return false;
	hv->set_cr(&v->hv, 0, value);
	if ((changed & CR0_PG) && (efer & EFER_LME))
		hv->set_efer(&v->hv, value & CR0_PG ? efer | EFER_LMA : efer & ~EFER_LMA);
	if (changed & (CR0_PG | CR0_WP))
		v->hv.flush_wanted = true;
	return true;
}

static bool write_cr4(struct vcpu *v, uint64_t value)
{
	uint64_t old = hv->get_cr(&v->hv, 4), changed = value ^ old;
	bool long_mode = hv->get_efer(&v->hv) & EFER_LMA;

	if (value & ~v->vm->model.cr4)
		return false;
	if (long_mode && !(value & CR4_PAE))
		return false;
	/* PCIDE is switched on in long mode with PCID 0 only */
	if ((value & ~old & CR4_PCIDE) && !(long_mode && !(hv->get_cr(&v->hv, 3) & 0xfff)))
		return false;
	if ((hv->get_cr(&v->hv, 0) & CR0_PG) && (value & CR4_PAE) && !long_mode &&
	    (changed & (CR4_PGE | CR4_PSE | CR4_PAE | CR4_SMEP)) && !vcpu_load_pdptes(v))
		return false;
	hv->set_cr(&v->hv, 4, value);
	if (changed & (CR4_PGE | CR4_PAE | CR4_PSE | CR4_PCIDE | CR4_SMEP | CR4_PKE))
		v->hv.flush_wanted = true;
	return true;
}

/* The task priority, while it holds an interrupt back. */
static bool write_cr8(struct vcpu *v, uint64_t value)
{
	if (value > 15)
		return false;
	v->hv.cr8 = (uint8_t)value;
	vlapic_set_cr8(v->lapic, v->hv.cr8);
	v->look = true;
	return true;
}

static bool write_cr(struct vcpu *v, uint8_t cr, uint64_t value)
{
	if (cr == 8)
		return write_cr8(v, value);
	return cr == 4 ? write_cr4(v, value) : write_cr0(v, value);
}

bool vcpu_write_control_reg(struct vcpu *v, const struct vm_exit *exit, unsigned *length)
{
	struct insn_mov_cr mov = {
		.length = exit->insn_len,
		.cr = exit->control.cr,
		.write = exit->control.write,
		.gpr = exit->control.gpr,
	};
	struct code_context code;
	uint8_t bytes[INSN_BUFFER];
	uint64_t value;
	unsigned n;

	hv->get_code(&v->hv, &code);
	if (exit->control.decode || !mov.length) {
		n = insn_fetch(&v->vm->mem, &code, bytes, INSN_MAX_BYTES, &v->hv.inject);
		if (!n || !insn_decode_mov_cr(&code, bytes, n, &mov))
			return false;
	}
	if (!mov.write || mov.clts || mov.lmsw || (mov.cr != 0 && mov.cr != 4 && mov.cr != 8))
		return false; /* another instruction by now */
	value = v->hv.gpr[mov.gpr];
	if (!code_is_64bit(&code))
		value = (uint32_t)value;
	if (!write_cr(v, mov.cr, value)) {
		vcpu_inject_exception(v, VEC_GP, true, 0);
		return false;
	}
	*length = mov.length;
	return true;
}
