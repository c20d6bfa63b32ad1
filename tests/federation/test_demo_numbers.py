"""The numbers of demonstration clients pass the checks of the forms that edit them."""

from stdnum import iban, lei

from federation.demo.relationships import demo_iban, demo_lei


def test_fictitious_ibans_and_leis_have_right_check_digits() -> None:
    found = [demo_lei(number) for number in (1, 22, 800_022, 12_345_678)]
    assert all(lei.is_valid(each) and len(each) == 20 for each in found)
    assert len(set(found)) == 4
    assert iban.is_valid(demo_iban(800_022), check_country=False)
