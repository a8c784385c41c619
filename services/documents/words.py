"""The words that documents bring along, in every language they are made in. What people typed stays as it is."""

from __future__ import annotations

from typing import NamedTuple

from services.documents.content import TaxCategory


class Words(NamedTuple):
    """Each has one form: nothing here is counted. `{...}` is filled in with a value that is formatted already."""

    invoice: str
    credit_note: str
    number: str
    credit_note_number: str
    issued: str
    due_on: str
    period: str
    credited: str
    credited_value: str
    order: str
    seller: str
    buyer: str
    tax_number: str
    vat_number: str
    registration: str
    description: str
    quantity: str
    unit_price: str
    tax_rate: str
    amount: str
    discount: str
    credits: str
    subtotal: str
    net: str
    tax_on: str
    total: str
    total_credited: str
    due: str
    due_headline: str
    due_headline_undated: str
    credit_headline: str
    paid_headline: str
    owed_headline: str
    payment: str
    pay_online: str
    account: str
    account_name: str
    bank_code: str
    reference: str
    notes: str
    page: str
    labelled: str
    reverse_charge: str
    intra_community: str
    export: str
    out_of_scope: str
    unused_time: str
    taken_back: str
    late_usage: str
    usage_of: str
    price_with_tax: str

    def no_tax(self, category: TaxCategory) -> str:
        """What the law has a document say when no tax is due; empty when it asks for nothing."""
        said = {
            TaxCategory.REVERSE_CHARGE: self.reverse_charge,
            TaxCategory.INTRA_COMMUNITY: self.intra_community,
            TaxCategory.EXPORT: self.export,
            TaxCategory.OUT_OF_SCOPE: self.out_of_scope,
        }
        return said.get(category, "")


WORDS: dict[str, Words] = {
    "en": Words(
        invoice="Invoice",
        credit_note="Credit note",
        number="Invoice number",
        credit_note_number="Credit note number",
        issued="Date of issue",
        due_on="Date due",
        period="Service period",
        credited="Credited invoice",
        credited_value="{number} of {date}",
        order="Your order",
        seller="From",
        buyer="Bill to",
        tax_number="Tax number",
        vat_number="VAT number",
        registration="Registration",
        description="Description",
        quantity="Qty",
        unit_price="Unit price",
        tax_rate="Tax",
        amount="Amount",
        discount="Discount",
        credits="Credit applied",
        subtotal="Subtotal",
        net="Total excluding tax",
        tax_on="{label} {rate} on {base}",
        total="Total",
        total_credited="Total credited",
        due="Amount due",
        due_headline="{amount} due {date}",
        due_headline_undated="{amount} due",
        credit_headline="{amount} credited",
        paid_headline="Nothing to pay",
        owed_headline="{amount} in your favour",
        payment="How to pay",
        pay_online="Pay online",
        account="Account",
        account_name="Account holder",
        bank_code="BIC",
        reference="Reference",
        notes="Notes",
        page="Page {page} of {pages}",
        labelled="{label}: {value}",
        reverse_charge="Reverse charge: the customer accounts for the tax.",
        intra_community="Tax-exempt supply to another member state.",
        export="Tax-exempt export.",
        out_of_scope="Not subject to tax here.",
        unused_time="Unused time: {name}",
        taken_back="Unused time taken back: {name}",
        late_usage="Late usage: {name}",
        usage_of="Usage of {name}",
        price_with_tax="Price with tax",
    ),
    "de": Words(
        invoice="Rechnung",
        credit_note="Rechnungskorrektur",
        number="Rechnungsnummer",
        credit_note_number="Korrekturnummer",
        issued="Rechnungsdatum",
        due_on="Fällig am",
        period="Leistungszeitraum",
        credited="Korrigierte Rechnung",
        credited_value="{number} vom {date}",
        order="Ihre Bestellung",
        seller="Von",
        buyer="Rechnung an",
        tax_number="Steuernummer",
        vat_number="USt-IdNr.",
        registration="Register",
        description="Beschreibung",
        quantity="Menge",
        unit_price="Einzelpreis",
        tax_rate="Steuer",
        amount="Betrag",
        discount="Rabatt",
        credits="Verrechnetes Guthaben",
        subtotal="Zwischensumme",
        net="Summe ohne Steuer",
        tax_on="{label} {rate} auf {base}",
        total="Gesamtbetrag",
        total_credited="Gutgeschriebener Betrag",
        due="Zu zahlen",
        due_headline="{amount} fällig am {date}",
        due_headline_undated="{amount} zu zahlen",
        credit_headline="{amount} gutgeschrieben",
        paid_headline="Nichts zu zahlen",
        owed_headline="{amount} zu Ihren Gunsten",
        payment="Zahlung",
        pay_online="Online bezahlen",
        account="Konto",
        account_name="Kontoinhaber",
        bank_code="BIC",
        reference="Verwendungszweck",
        notes="Hinweise",
        page="Seite {page} von {pages}",
        labelled="{label}: {value}",
        reverse_charge="Steuerschuldnerschaft des Leistungsempfängers.",
        intra_community="Steuerfreie innergemeinschaftliche Lieferung.",
        export="Steuerfreie Ausfuhr.",
        out_of_scope="Hier nicht steuerbar.",
        unused_time="Nicht genutzte Zeit: {name}",
        taken_back="Rücknahme nicht genutzter Zeit: {name}",
        late_usage="Nachträglich erfasste Nutzung: {name}",
        usage_of="Nutzung von {name}",
        price_with_tax="Preis mit Steuer",
    ),
    "fr": Words(
        invoice="Facture",
        credit_note="Avoir",
        number="Numéro de facture",
        credit_note_number="Numéro d’avoir",
        issued="Date d’émission",
        due_on="Date d’échéance",
        period="Période de service",
        credited="Facture rectifiée",
        credited_value="{number} du {date}",
        order="Votre commande",
        seller="De",
        buyer="Facturé à",
        tax_number="Numéro fiscal",
        vat_number="N° de TVA",
        registration="Immatriculation",
        description="Désignation",
        quantity="Qté",
        unit_price="Prix unitaire",
        tax_rate="Taxe",
        amount="Montant",
        discount="Remise",
        credits="Avoir imputé",
        subtotal="Sous-total",
        net="Total hors taxes",
        tax_on="{label} {rate} sur {base}",
        total="Total",
        total_credited="Total de l’avoir",
        due="Montant à payer",
        due_headline="{amount} à payer au plus tard le {date}",
        due_headline_undated="{amount} à payer",
        credit_headline="{amount} en avoir",
        paid_headline="Rien à payer",
        owed_headline="{amount} en votre faveur",
        payment="Règlement",
        pay_online="Payer en ligne",
        account="Compte",
        account_name="Titulaire du compte",
        bank_code="BIC",
        reference="Référence",
        notes="Remarques",
        page="Page {page} sur {pages}",
        labelled="{label}\u00a0: {value}",
        reverse_charge="Autoliquidation : la taxe est due par le client.",
        intra_community="Livraison intracommunautaire exonérée.",
        export="Exportation exonérée.",
        out_of_scope="Hors du champ de la taxe.",
        unused_time="Temps non utilisé\u00a0: {name}",
        taken_back="Reprise de temps non utilisé\u00a0: {name}",
        late_usage="Consommation tardive\u00a0: {name}",
        usage_of="Consommation de {name}",
        price_with_tax="Prix taxe comprise",
    ),
    "ja": Words(
        invoice="請求書",
        credit_note="返還請求書",
        number="請求書番号",
        credit_note_number="返還請求書番号",
        issued="発行日",
        due_on="支払期日",
        period="サービス期間",
        credited="対象の請求書",
        credited_value="{number}（{date}）",
        order="ご注文番号",
        seller="発行元",
        buyer="請求先",
        tax_number="登録番号",
        vat_number="VAT 番号",
        registration="法人番号",
        description="内容",
        quantity="数量",
        unit_price="単価",
        tax_rate="税率",
        amount="金額",
        discount="割引",
        credits="充当額",
        subtotal="小計",
        net="税抜合計",
        tax_on="{label} {rate}（対象 {base}）",
        total="合計",
        total_credited="返還額合計",
        due="ご請求額",
        due_headline="{amount}　{date}までにお支払いください",
        due_headline_undated="ご請求額 {amount}",
        credit_headline="返還額 {amount}",
        paid_headline="お支払いの必要はありません",
        owed_headline="お客様の残高 {amount}",
        payment="お支払い方法",
        pay_online="オンラインで支払う",
        account="口座番号",
        account_name="口座名義",
        bank_code="BIC",
        reference="照会番号",
        notes="備考",
        page="{page} / {pages} ページ",
        labelled="{label}：{value}",
        reverse_charge="リバースチャージ方式：税はお客様が申告・納付します。",
        intra_community="域内供給のため免税。",
        export="輸出のため免税。",
        out_of_scope="課税対象外。",
        unused_time="未使用期間：{name}",
        taken_back="未使用期間の取消：{name}",
        late_usage="追加計上の利用：{name}",
        usage_of="{name} の利用",
        price_with_tax="税込価格",
    ),
    "ar": Words(
        invoice="فاتورة",
        credit_note="إشعار دائن",
        number="رقم الفاتورة",
        credit_note_number="رقم الإشعار",
        issued="تاريخ الإصدار",
        due_on="تاريخ الاستحقاق",
        period="فترة الخدمة",
        credited="الفاتورة المصححة",
        credited_value="{number} بتاريخ {date}",
        order="رقم طلبكم",
        seller="من",
        buyer="إلى",
        tax_number="الرقم الضريبي",
        vat_number="رقم ضريبة القيمة المضافة",
        registration="رقم السجل",
        description="الوصف",
        quantity="الكمية",
        unit_price="سعر الوحدة",
        tax_rate="الضريبة",
        amount="المبلغ",
        discount="خصم",
        credits="رصيد مستخدم",
        subtotal="المجموع الفرعي",
        net="الإجمالي قبل الضريبة",
        tax_on="{label} {rate} على {base}",
        total="الإجمالي",
        total_credited="إجمالي المبلغ الدائن",
        due="المبلغ المستحق",
        due_headline="{amount} مستحقة في {date}",
        due_headline_undated="{amount} مستحقة",
        credit_headline="{amount} لحسابكم",
        paid_headline="لا شيء للدفع",
        owed_headline="{amount} لصالحكم",
        payment="طريقة الدفع",
        pay_online="ادفع عبر الإنترنت",
        account="الحساب",
        account_name="صاحب الحساب",
        bank_code="BIC",
        reference="المرجع",
        notes="ملاحظات",
        page="صفحة {page} من {pages}",
        labelled="{label}: {value}",
        reverse_charge="احتساب عكسي: يتحمل العميل حساب الضريبة.",
        intra_community="توريد معفى من الضريبة إلى دولة عضو أخرى.",
        export="تصدير معفى من الضريبة.",
        out_of_scope="خارج نطاق الضريبة.",
        unused_time="وقت غير مستخدم: {name}",
        taken_back="استرجاع وقت غير مستخدم: {name}",
        late_usage="استخدام مسجل لاحقا: {name}",
        usage_of="استخدام {name}",
        price_with_tax="السعر شامل الضريبة",
    ),
}

LANGUAGES: tuple[str, ...] = tuple(WORDS)
