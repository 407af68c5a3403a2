//! The materials that Ultimaker's own printers and spools name by GUID: which family each is of.
//!
//! Taken from the material profiles that Cura 4.13 ships (public domain): brands `Generic` and
//! `Ultimaker`. A GUID that is not here is an owner's or another maker's profile and stays unknown.

use imprimatur_proto::telemetry::v1::MaterialFamily;

/// The family of a GUID.
pub(super) fn family(guid: &str) -> Option<MaterialFamily> {
    let guid = guid.trim();
    FAMILIES
        .iter()
        .find(|(_, guids)| guids.iter().any(|known| known.eq_ignore_ascii_case(guid)))
        .map(|(family, _)| *family)
}

const FAMILIES: &[(MaterialFamily, &[&str])] = &[
    (
        MaterialFamily::Pla,
        &[
            "03f24266-0291-43c2-a6da-5211892a2699",
            "0e01be8c-e425-4fb1-b4a3-b79f255f1db9",
            "0ff92885-617b-4144-a03c-9989872454bc",
            "2433b8fb-dcd6-4e36-9cd5-9f4ee551c04c",
            "2db25566-9a91-4145-84a5-46c90ed22bdf",
            "3ee70a86-77d8-4b87-8005-e4a1bc57d2ce",
            "44a029e6-e31b-4c9e-a12f-9282e29a92ff",
            "506c9f0d-e3aa-4bd4-b2d2-23e2425b1aa9",
            "532e8b3d-5fd4-4149-b936-53ada9bd6b85",
            "6d71f4ad-29ab-4b50-8f65-22d99af294dd",
            "851427a0-0c9a-4d7c-a9a8-5cc92f84af1f",
            "9c1959d0-f597-46ec-9131-34020c7a54fc",
            "9cfe5bf1-bdc5-4beb-871a-52c70777842d",
            "9d5d2d7c-4e77-441c-85a0-e9eefd4aa68c",
            "d9549dba-b9df-45b9-80a5-f7140a9a2f34",
            "d9fc79db-82c3-41b5-8c99-33b3747b8fb3",
            "e509f649-9fe6-4b14-ac45-d441438cb4ef",
            "fe3982c8-58f4-4d86-9ac0-9ff7a3ab9cbc",
        ],
    ),
    (
        MaterialFamily::Petg,
        &[
            "00181d6c-7024-479a-8eb7-8a2e38a2619a",
            "10961c00-3caf-48e9-a598-fa805ada1e8d",
            "12f41353-1a33-415e-8b4f-a775a6c70cc6",
            "173a7bae-5e14-470e-817e-08609c61e12b",
            "1aca047a-42df-497c-abfb-0e9cb85ead52",
            "1cbfaeb3-1906-4b26-b2e7-6f777a8c197a",
            "1f3c3be1-2e60-4343-b35d-cb383958d992",
            "218379df-4a67-4668-b5f8-2a14c92bce96",
            "2257ab94-fb27-42e6-865c-05aa6717504b",
            "40a273c6-0e15-4db5-a278-8eb0b4a9e293",
            "4d816290-ce2e-40e0-8dc8-3f702243131e",
            "5f9f3de0-045b-48d9-84ec-19db92be7603",
            "61eb5c6c-0110-49de-9756-13b8c7cc2ff1",
            "69386c85-5b6c-421a-bec5-aeb1fb33f060",
            "6df69b13-2d96-4a69-a297-aedba667e710",
            "7418eca4-e2c4-45b1-a022-37180861fd39",
            "7ff6d2c8-d626-48cd-8012-7725fa537cc9",
            "881c888e-24fb-4a64-a4ac-d5c95b096cd7",
            "9680dff6-7aa5-400b-982c-40a0de06a718",
            "a02a3978-eb33-47ca-b32b-d08b92b58638",
            "a8955dc3-9d7e-404d-8c03-0fd6fee7f22d",
            "a9c340fe-255f-4914-87f5-ec4fcb0c11ef",
            "b9176a2a-7a0f-4821-9f29-76d882a88682",
            "bd0d9eb3-a920-4632-84e8-dcd6086746c5",
            "c8394116-30ba-4112-b4d9-8b2394278cb3",
            "c8639119-5cae-4f56-9bcf-3bb00e8225fd",
            "c8e4a85e-b256-4468-8516-0aa98c69c7d7",
            "d67a3ccb-6b51-4013-bdac-4c59e952aaf4",
            "da1872c1-b991-4795-80ad-bdac0f131726",
            "e0af2080-29fc-4b18-a5c0-42ca112f507f",
            "e2409626-b5a0-4025-b73e-b58070219259",
        ],
    ),
    (
        MaterialFamily::Abs,
        &[
            "0b4ca6ef-eac8-4b23-b3ca-5f21af00e54f",
            "2780b345-577b-4a24-a2c5-12e6aad3e690",
            "2f9d2279-9b0e-4765-bf9b-d1e1e13f3c49",
            "3400c0d1-a4e3-47de-a444-7b704f287171",
            "5253a75a-27dc-4043-910f-753ae11bc417",
            "5df7afa6-48bd-4c19-b314-839fe9f08f1f",
            "60636bb4-518f-42e7-8237-fe77b194ebe0",
            "763c926e-a5f7-4ba0-927d-b4e038ea2735",
            "7c9575a6-c8d6-40ec-b3dd-18d7956bfaae",
            "7cbdb9ca-081a-456f-a6ba-f73e4e9cb856",
            "8b75b775-d3f2-4d0f-8fb2-2a3dd53cf673",
            "e873341d-d9b8-45f9-9a6f-5609e1bcff68",
        ],
    ),
    (MaterialFamily::Asa, &["416eead4-0d8e-4f0b-8bfc-a91a519befa5"]),
    (
        MaterialFamily::Tpu,
        &[
            "07a4547f-d21f-41a0-8eee-bc92125221b3",
            "19baa6a9-94ff-478b-b4a1-8157b74358d2",
            "1d52b2be-a3a2-41de-a8b1-3bcdb5618695",
            "5f4a826c-7bfe-460f-8650-a9178b180d34",
            "6a2573e6-c8ee-4c66-8029-3ebb3d5adc5b",
            "eff40bcf-588d-420d-a3bc-a5ffd8c7f4b3",
        ],
    ),
    (
        MaterialFamily::Pa,
        &[
            "283d439a-3490-4481-920c-c51d8cdecf9c",
            "28fb4162-db74-49e1-9008-d05f1e8bef5c",
            "c64c2dbe-5691-4363-a7d9-66b2dc12837f",
            "e256615d-a04e-4f53-b311-114b90560af9",
        ],
    ),
    (
        MaterialFamily::Pc,
        &[
            "5e786b05-a620-4a87-92d0-f02becc1ff98",
            "62414577-94d1-490d-b1e4-7ef3ec40db02",
            "8a38a3e9-ecf7-4a7d-a6a9-e7ac35102968",
            "98c05714-bf4e-4455-ba27-57d74fe331e4",
            "e92b1f0b-a069-4969-86b4-30127cfb6f7b",
        ],
    ),
    (
        MaterialFamily::Pp,
        &["aa22e9c7-421f-4745-afc2-81851694394a", "c7005925-2a41-4280-8cdd-4029e3fe5253"],
    ),
    (
        MaterialFamily::Pva,
        &[
            "86a89ceb-4159-47f6-ab97-e9953803d70f",
            "923e604c-8432-4b09-96aa-9bbbd42207f4",
            "a4255da2-cb2a-4042-be49-4a83957a2f9a",
            "fe15ed8a-33c3-4f57-a2a7-b4b78a38c3cb",
        ],
    ),
    (
        MaterialFamily::Composite,
        &[
            "837cf11b-6b1e-48dc-94dc-4a2b4888648e",
            "bd66b243-9d50-4e12-bfc3-51c874fca16a",
            "d4b786bb-e5d2-481b-b3ab-0be976d36af8",
            "f8e496d6-7599-4015-9fac-c7ce53f6633c",
        ],
    ),
];
